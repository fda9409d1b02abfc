"""Every setting of the service, read from `RMBG_*` environment variables."""

import os
from difflib import get_close_matches
from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from rmbg_service.errors import ConfigurationError
from rmbg_service.setting_values import (
    Commas,
    Folder,
    Host,
    Key,
    Origin,
    PositiveRgb,
    Rgb,
    Seconds,
    Text,
)
from rmbg_service.system import memory_budget
from rmbg_service.system.resources import cpu_count
from rmbg_service.validation import in_words

ENV_PREFIX = "RMBG_"

PatchOrder = Literal["c_hg_wg", "wg_hg_c"]
RemoveBgSize = Literal["preview", "small", "regular", "medium", "hd", "full", "4k", "50MP", "auto"]
Provider = Literal["auto", "cpu", "cuda", "tensorrt", "coreml", "directml", "openvino", "rocm"]
Endpoint = Literal["docs", "health", "info", "metrics"]


def _all_or_none(value: object) -> object:
    if isinstance(value, str):
        return {"all": get_args(Endpoint), "none": ()}.get(value.strip(), value)
    return value


Endpoints = Annotated[Commas[Endpoint], BeforeValidator(_all_or_none)]


class Settings(BaseSettings):
    """Frozen settings; `Settings()` reads the environment, keyword arguments come first."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
    )

    host: Text = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` listens on all.")
    port: int = Field(7860, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")

    model: Text = Field(
        "auto",
        description="A name from `rmbg-service models list`, a hub id, a folder or `.safetensors` "
        "file with a BiRefNet checkpoint, an `.onnx` file, or `auto`: the first of RMBG-2.0 (if "
        "its licence is accepted) and BiRefNet that is on this disk, else the embedded `u2netp`.",
    )
    accept_license: Commas[str] = Field(
        (), description="Comma-separated licences you accept, such as `cc-by-nc-4.0` for RMBG-2.0."
    )
    model_revision: Text | None = Field(
        None, description="Branch, tag or commit on the hub, instead of the one in the catalogue."
    )
    model_dir: Folder | None = Field(
        None,
        description="Folder for weights that do not come through the hub's cache. Default: "
        "`rmbg-service/models` in the user's cache folder.",
    )
    model_download: Literal["auto", "never"] = Field(
        "auto", description="`never` uses only weights on this disk, and names what is missing."
    )
    matting_model: Text | None = Field(
        None,
        description="A second model, which draws edges for `detail=matting`: "
        "`vitmatte-small-composition-1k`, or a hub id, a folder or a `.safetensors` file with a "
        "ViTMatte. Default: none.",
    )
    patch_order: PatchOrder | None = Field(
        None,
        description="`c_hg_wg` or `wg_hg_c`, for a BiRefNet checkpoint whose files do not show "
        "it; see models.md.",
    )
    device: Text = Field(
        "auto",
        description="Where BiRefNet and ViTMatte run: `auto` (cuda, mps, cpu), or a name such as "
        "`cuda:1`. A device that is missing stops the service at startup.",
    )
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        "auto",
        description="Number format of PyTorch and OpenVINO; `auto` is the fastest that changes "
        "little, see models.md.",
    )
    compile: bool = Field(
        False, description="Compile BiRefNet with `torch.compile`: slow to start, fast to predict."
    )
    self_check: bool = Field(
        False,
        description="`on` predicts a reference image at the start; if the model fails on it, the "
        "service does not start. See doctor.md.",
    )

    onnx_provider: Provider = Field(
        "auto",
        description="What runs ONNX models: an execution provider of ONNX Runtime, or `openvino`; "
        "`auto` is `openvino` or `cpu`. A missing one stops the service at startup.",
    )
    onnx_input_size: int | None = Field(
        None, ge=32, le=4096, description="Side of the input in px, if the graph leaves it open."
    )
    onnx_mean: Rgb | None = Field(
        None, description="Mean of RGB in [0, 1], three numbers `r,g,b`, for your own file."
    )
    onnx_std: PositiveRgb | None = Field(None, description="Standard deviation, in the same form.")
    onnx_activation: Literal["none", "sigmoid"] | None = Field(
        None, description="What turns the first output of the graph into a matte."
    )
    cpu_threads: int = Field(
        default_factory=cpu_count,
        ge=1,
        le=256,
        description="Threads of one prediction on the CPU. Default: the CPUs of the container.",
    )

    max_inflight_jobs: int = Field(
        default_factory=lambda: memory_budget.default_limits().jobs,
        ge=1,
        le=10_000,
        description="Requests admitted at once; then 429. Default: 16, fewer below 4 GB of memory.",
    )
    max_inflight_pixels: int = Field(
        default_factory=lambda: memory_budget.default_limits().pixels,
        ge=1,
        description="Pixels of all admitted images together; then 429. Default: 120000000, or as "
        "many as fit into the memory.",
    )
    max_image_pixels: int = Field(
        default_factory=lambda: memory_budget.default_limits().image_pixels,
        ge=1,
        le=170_000_000,
        description="Width x height of one image; larger ones get 413 from their header alone. "
        "Default: 50000000, or as many as fit into the memory.",
    )
    max_image_side: int = Field(
        65_500, ge=1, description="Width and height of one image at most; longer ones get 413."
    )
    max_body_bytes: int = Field(
        memory_budget.BODY_BYTES, ge=1, description="Bytes of a request body; then 413."
    )
    max_batch_size: int = Field(
        1, ge=1, le=64, description="Images in one prediction; the worker never waits for more."
    )
    codec_threads: int = Field(
        default_factory=memory_budget.default_codec_threads,
        ge=1,
        le=64,
        description="Images that are decoded, refined or encoded at once. Default: the CPUs, at "
        "most 4, or 16 beside an NVIDIA or AMD GPU.",
    )
    codec_processes: Literal["auto", "on", "off"] = Field(
        "auto",
        description="`on` does that work in processes instead of threads: see operations.md. "
        "`auto` does if the model runs on CUDA and there are 4 CPUs.",
    )
    request_timeout_s: Seconds = Field(
        30.0, description="Deadline of a job, from the last byte of its body on; then 504."
    )
    codec_timeout_s: Seconds = Field(
        120.0, description="A step around the model that takes longer is stuck."
    )
    predict_timeout_s: Seconds = Field(
        120.0, description="A prediction that takes longer is stuck: the process exits."
    )
    client_idle_timeout_s: Seconds = Field(
        10.0,
        description="How long a client may neither send nor receive a byte; then the connection "
        "is closed.",
    )
    upload_timeout_s: Seconds = Field(
        60.0, description="How long a whole request body may take to arrive; then 408."
    )

    rate_limit_megapixels_per_minute: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Megapixels that each key may send per minute, backgrounds included; every "
        "request counts as at least one. Then 429. Requests on which the service "
        "fails do not count. Without keys, all clients share the limit.",
    )
    removebg_default_size: RemoveBgSize = Field(
        "auto",
        description="`size` of the remove.bg API if a request has none; the original default is "
        "`preview`, a quarter of a megapixel.",
    )
    removebg_wait_limit_s: Seconds = Field(
        20.0,
        description="How long clients of the remove.bg API wait for a response: a request that "
        "would queue for longer gets 429 at once.",
    )
    url_fetch: bool = Field(
        False,
        description="`on` fetches images by URL, for the APIs of remove.bg and rembg and for "
        "agents (mcp.md), from public addresses only.",
    )
    url_fetch_hosts: Commas[Host] = Field(
        (),
        description="Comma-separated hosts that may be fetched from; `*.example.com` includes all "
        "subdomains. Default: every public host.",
    )
    url_fetch_timeout_s: Seconds = Field(
        10.0, description="How long fetching one image may take, redirects included."
    )

    api_keys: Commas[Key] = Field(
        (), description="Comma-separated keys; if set, every removal needs one."
    )
    open_endpoints: Endpoints = Field(
        default_factory=lambda: get_args(Endpoint),
        description="Comma-separated endpoints that need no key although keys are set: `metrics`, "
        "`info`, `health`, `docs` (with `/openapi.json`), or `all` or `none`. If `health` is "
        "closed, it shows only the state without a key, and so do `/livez` and `/readyz`, which "
        "are always open. Default: all.",
    )
    cors_origins: Commas[Origin] = Field(
        (), description="Comma-separated origins of web pages that may call the API; `*` for all."
    )
    page: bool = Field(True, description="Serve the web page at `/`.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The lowest level that is logged."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto",
        description="`json` (an object per line), `text`, or `auto`: text on terminals, else JSON.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_image_pixels > self.max_inflight_pixels:
            raise ValueError(
                f"RMBG_MAX_IMAGE_PIXELS ({self.max_image_pixels}) is above RMBG_MAX_INFLIGHT_PIXELS"
                f" ({self.max_inflight_pixels}): an image of that size would never be admitted"
            )
        if self.max_batch_size > self.max_inflight_jobs:
            raise ValueError(
                f"RMBG_MAX_BATCH_SIZE ({self.max_batch_size}) is above "
                f"RMBG_MAX_INFLIGHT_JOBS ({self.max_inflight_jobs})"
            )
        if not self.api_keys and set(self.open_endpoints) < set(get_args(Endpoint)):
            raise ValueError("RMBG_OPEN_ENDPOINTS closes endpoints, but RMBG_API_KEYS sets no key")
        if self.client_idle_timeout_s > self.upload_timeout_s:
            raise ValueError(
                f"RMBG_CLIENT_IDLE_TIMEOUT_S ({self.client_idle_timeout_s}) is above "
                f"RMBG_UPLOAD_TIMEOUT_S ({self.upload_timeout_s})"
            )
        return self

    @property
    def max_decoded_images(self) -> int:
        """Images held decoded at once: those at the predictor and one for each codec thread."""
        return self.codec_threads + self.max_batch_size


def load_settings(**overrides: object) -> Settings:
    """`Settings` from the environment and `overrides` but None, or a `ConfigurationError`."""
    known = {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    for variable in os.environ:
        close = get_close_matches(variable, known, n=1, cutoff=0.85)
        if variable.startswith(ENV_PREFIX) and variable not in known and close:
            raise ConfigurationError(f"{variable} is not a setting; did you mean {close[0]}?")
    try:
        given = {name: value for name, value in overrides.items() if value is not None}
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = []
        for item in error.errors():
            name = ENV_PREFIX + str(item["loc"][0]).upper() if item["loc"] else ""
            lines.append(f"{name} {in_words(item)}".strip())
        raise ConfigurationError("; ".join(dict.fromkeys(lines))) from None
