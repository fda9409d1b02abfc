"""Every setting of the service, read from `RMBG_*` environment variables."""

import os
from difflib import get_close_matches
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from rmbg_service.errors import ConfigurationError
from rmbg_service.system.resources import cpu_count

ENV_PREFIX = "RMBG_"
BYTES_PER_PIXEL = 20
"""Peak memory of a job for each pixel of its picture, all stages; see docs/operations.md."""
WORKING_BYTES = 100_000_000
"""Arrays of fixed size that a codec thread works on, whatever the size of its picture."""
RESULT_BYTES_PER_PIXEL = 4
"""An encoded result that waits for its client: RGBA that could not be compressed at all."""
_PARSING_COPIES = 2  # of one body at a time: its base64 text and what that decodes to

PatchOrder = Literal["c_hg_wg", "wg_hg_c"]
RemoveBgSize = Literal["preview", "small", "regular", "medium", "hd", "full", "4k", "50MP", "auto"]
Provider = Literal["cpu", "cuda", "tensorrt", "coreml", "directml", "openvino", "rocm"]
Triple = Annotated[tuple[float, float, float], NoDecode]


class Settings(BaseSettings):
    """Frozen settings; `Settings()` reads the environment, keyword arguments come first."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
    )

    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` for every one.")
    port: int = Field(7860, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")

    model: str = Field(
        "auto",
        description="A name from `rmbg-service models list`, a hub id, a folder with a BiRefNet "
        "checkpoint, an `.onnx` file, or `auto`: the first of RMBG-2.0 (if its licence is "
        "accepted) and BiRefNet that is in the local cache, else the embedded `u2netp`.",
    )
    accept_license: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Comma-separated licences you accept, such as `cc-by-nc-4.0` for RMBG-2.0."
    )
    model_revision: str | None = Field(
        None, description="Branch, tag or commit on the hub, in place of the catalogue's."
    )
    patch_order: PatchOrder | None = Field(
        None,
        description="`c_hg_wg` or `wg_hg_c`, for a BiRefNet checkpoint whose files do not tell; "
        "see models.md.",
    )
    device: str = Field(
        "auto",
        description="Where BiRefNet runs: `auto` (cuda, mps, cpu), or a name such as `cuda:1`. "
        "One that is missing stops the start.",
    )
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        "auto", description="BiRefNet's number format; `auto` is fp16 on CUDA, fp32 elsewhere."
    )
    compile: bool = Field(
        False, description="Compile BiRefNet with `torch.compile`: a slower start, faster runs."
    )

    onnx_provider: Provider = Field(
        "cpu",
        description="ONNX Runtime's execution provider. One that is not active stops the start.",
    )
    onnx_input_size: int | None = Field(
        None, ge=32, le=4096, description="Side of the input in px, where the graph leaves it open."
    )
    onnx_mean: Triple | None = Field(
        None, description="Mean of RGB in [0, 1], three numbers `r,g,b`, for a file of your own."
    )
    onnx_std: Triple | None = Field(None, description="Standard deviation, in the same form.")
    onnx_activation: Literal["none", "sigmoid"] | None = Field(
        None, description="What turns the graph's first output into a matte."
    )
    cpu_threads: int = Field(
        default_factory=cpu_count,
        ge=1,
        le=256,
        description="Threads of one prediction on the CPU. Default: the CPUs of the container.",
    )

    max_inflight_jobs: int = Field(
        16, ge=1, le=10_000, description="Requests admitted at once; the next one gets 429."
    )
    max_inflight_pixels: int = Field(
        120_000_000, ge=1, description="Pixels of all admitted pictures together; then 429."
    )
    max_image_pixels: int = Field(
        50_000_000,
        ge=1,
        le=170_000_000,
        description="Width x height of one picture; larger ones get 413 from their header alone.",
    )
    max_image_side: int = Field(
        65_500,
        ge=1,
        description="Width and height of one picture at most; longer ones get 413 from their "
        "header alone. JPEG files can have no longer side.",
    )
    max_body_bytes: int = Field(
        40_000_000, ge=1, description="Bytes of a request body; larger ones get 413."
    )
    max_batch_size: int = Field(
        1, ge=1, le=64, description="Pictures in one prediction; the worker never waits for more."
    )
    codec_threads: int = Field(
        default_factory=lambda: min(4, cpu_count()),
        ge=1,
        le=64,
        description="Threads that decode and encode. Default: the CPUs, at most 4.",
    )
    request_timeout_s: float = Field(
        30.0, gt=0, description="A job's deadline, from its last byte in; then 504."
    )
    predict_timeout_s: float = Field(
        120.0, gt=0, description="A prediction longer than this is hung: the process exits."
    )
    client_idle_timeout_s: float = Field(
        10.0, gt=0, description="How long a client may neither send nor take a byte; then closed."
    )
    upload_timeout_s: float = Field(
        60.0, gt=0, description="How long a whole request body may take to arrive; then 408."
    )

    rate_limit_megapixels_per_minute: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Megapixels that each key may send in a minute, backgrounds included, a "
        "request counting as one at least; then 429. What the service fails on does not count. "
        "Without keys the limit is for all together.",
    )
    removebg_default_size: RemoveBgSize = Field(
        "auto",
        description="`size` of the remove.bg API where a request gives none; the original's is "
        "`preview`, a quarter of a megapixel.",
    )
    removebg_wait_limit_s: float = Field(
        20.0,
        gt=0,
        description="How long clients of the remove.bg API wait for an answer: a request that "
        "would have to queue for longer gets 429 at once.",
    )
    url_fetch: bool = Field(
        False,
        description="`on` lets the remove.bg API fetch `image_url` and `bg_image_url`, from public "
        "addresses only.",
    )
    url_fetch_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Comma-separated hosts that may be fetched from, `*.example.com` with all "
        "below it. Default: every public one.",
    )
    url_fetch_timeout_s: float = Field(
        10.0, gt=0, description="How long one picture may take to be fetched, redirects included."
    )

    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Comma-separated keys; when set, every removal needs one."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Comma-separated origins of web pages that may call the API; `*` for all."
    )
    page: bool = Field(True, description="Serve the web page at `/`.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least level that is logged."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto",
        description="`json`: one object a line; `text`; or `auto`: text on a terminal, else JSON.",
    )

    @field_validator(
        "accept_license",
        "onnx_mean",
        "onnx_std",
        "url_fetch_hosts",
        "api_keys",
        "cors_origins",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = tuple(part.strip() for part in value.split(",") if part.strip())
        if not parts:  # "," would otherwise mean: no keys, let everyone in
            raise ValueError("is set but names nothing")
        return parts

    @field_validator("api_keys")
    @classmethod
    def _usable_keys(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(key.get_secret_value().isascii() for key in keys):
            raise ValueError("keys consist of ASCII characters: headers carry no others")
        return keys

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_image_pixels > self.max_inflight_pixels:
            raise ValueError(
                f"RMBG_MAX_IMAGE_PIXELS ({self.max_image_pixels}) is above "
                f"RMBG_MAX_INFLIGHT_PIXELS ({self.max_inflight_pixels}): "
                "a picture of that size would never be admitted"
            )
        if self.max_batch_size > self.max_inflight_jobs:
            raise ValueError(
                f"RMBG_MAX_BATCH_SIZE ({self.max_batch_size}) is above "
                f"RMBG_MAX_INFLIGHT_JOBS ({self.max_inflight_jobs})"
            )
        if self.client_idle_timeout_s > self.upload_timeout_s:
            raise ValueError(
                f"RMBG_CLIENT_IDLE_TIMEOUT_S ({self.client_idle_timeout_s}) is above "
                f"RMBG_UPLOAD_TIMEOUT_S ({self.upload_timeout_s})"
            )
        return self

    @property
    def max_decoded_images(self) -> int:
        """Pictures held decoded at once: those at the predictor and one for each codec thread."""
        return self.codec_threads + self.max_batch_size

    @property
    def peak_job_bytes(self) -> int:
        """Memory that the admitted jobs can take at the most: pixels, results and bodies."""
        largest = 3 * self.max_image_pixels  # some formats count double, with a border around
        decoded = min(self.max_inflight_pixels, self.max_decoded_images * largest)
        bodies = (self.max_inflight_jobs + _PARSING_COPIES) * self.max_body_bytes
        return (
            decoded * BYTES_PER_PIXEL
            + self.codec_threads * WORKING_BYTES
            + self.max_inflight_pixels * RESULT_BYTES_PER_PIXEL
            + bodies
        )


def load_settings(**overrides: object) -> Settings:
    """`Settings` from the environment and `overrides`, or one clear `ConfigurationError`.

    An override of None leaves the setting to the environment.
    """
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
            lines.append(f"{name} {item['msg'].removeprefix('Value error, ')}".strip())
        raise ConfigurationError("; ".join(lines)) from None
