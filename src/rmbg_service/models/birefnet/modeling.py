"""BiRefNet (Zheng et al., CAAI AIR 2024), the network of RMBG-2.0, as a `transformers` model."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForImageSegmentation, PreTrainedModel
from transformers.modeling_outputs import SemanticSegmenterOutput

from rmbg_service.models import catalog, hub
from rmbg_service.models.birefnet.checkpoint import Checkpoint, check_keys, read_checkpoint
from rmbg_service.models.birefnet.configuration import BiRefNetConfig
from rmbg_service.models.birefnet.decoder import BasicDecBlk, Decoder, resize
from rmbg_service.models.birefnet.patch_evidence import measure_evidence
from rmbg_service.models.birefnet.patch_order import decide, to_native
from rmbg_service.models.birefnet.swin import SwinTransformer
from rmbg_service.models.digests import identify
from rmbg_service.models.predictor import PatchOrderChoice
from rmbg_service.settings import PatchOrder


class BiRefNet(PreTrainedModel):  # type: ignore[no-untyped-call]
    """An image in, foreground logits out. The plain form; `fusing.fuse` makes the fast one."""

    config_class = BiRefNetConfig
    base_model_prefix = "birefnet"
    main_input_name = "pixel_values"

    config: BiRefNetConfig
    patch_order: PatchOrderChoice | None = None
    """How the weights of the checkpoint were laid out; set by `from_checkpoint`."""

    def __init__(self, config: BiRefNetConfig) -> None:
        super().__init__(config)
        c1, c2, c3, c4 = config.swin.channels
        self.bb = SwinTransformer(config.swin)
        self.squeeze_module = nn.Sequential(BasicDecBlk(2 * (c1 + c2 + c3 + c4), 2 * c4))
        self.decoder = Decoder((2 * c1, 2 * c2, 2 * c3, 2 * c4))
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self, pixel_values: Tensor, return_dict: bool = True
    ) -> SemanticSegmenterOutput | tuple[Tensor]:
        """Logits `(B, 1, H, W)` of normalised RGB `(B, 3, H, W)`; H and W are multiples of 32.

        The matte is their sigmoid. `output[-1]` is the logits too, as in the published code.
        """
        logits = self.logits(pixel_values)
        return SemanticSegmenterOutput(logits=logits) if return_dict else (logits,)

    def logits(self, image: Tensor) -> Tensor:
        """What `forward` computes, as a bare tensor."""
        x1, x2, x3, x4 = self.encode(image)
        context = [resize(x, x4.shape[2:]) for x in (x1, x2, x3)]
        x4 = self.squeeze_module(torch.cat((*context, x4), 1))
        out: Tensor = self.decoder(image, x1, x2, x3, x4)
        return out

    def encode(self, image: Tensor) -> list[Tensor]:
        """Features of the image, each followed by those of the image at half the size."""
        h, w = image.shape[2:]
        full, half = self.bb(image), self.bb(resize(image, (h // 2, w // 2)))
        return [torch.cat((f, resize(g, f.shape[2:])), 1) for f, g in zip(full, half, strict=True)]

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, patch_order: PatchOrder | None = None
    ) -> "BiRefNet":
        """The network with exactly these weights, which it takes over, ready for inference.

        Raises `ConfigurationError` for entries that do not fit, and for an uncertain patch order.
        """
        backbone, weights, path, repo = checkpoint
        source = repo or str(path)
        with torch.device("meta"):
            model = cls(BiRefNetConfig(backbone=backbone, name_or_path=source))
        check_keys(weights, model.state_dict(), source)
        model.patch_order = decide(path, repo, patch_order, measure_evidence(weights))
        if model.patch_order.order == "wg_hg_c":
            to_native(weights)
        model.load_state_dict(weights, assign=True)
        model.train(False)
        model.requires_grad_(False)
        return model

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        revision: str | None = None,
        patch_order: PatchOrder | None = None,
        token: str | None = None,
        local_files_only: bool = False,
        **kwargs: Any,
    ) -> "BiRefNet":
        """Load a file, a folder or a hub id, one that `save_pretrained` wrote or an official one.

        The official configuration does not describe the network, and a network with the wrong
        backbone or patch order gives wrong mattes. So both come from the weights and the files
        beside them, and entries that do not fit are an error (`ConfigurationError`). No code from
        the repository runs. Other keywords, such as `dtype`, are those of the inherited method.
        """
        for name in ("config", "state_dict", "trust_remote_code"):  # what AutoModel passes
            kwargs.pop(name, None)
        path = Path(pretrained_model_name_or_path)
        repo = None
        if not path.exists():
            repo = str(pretrained_model_name_or_path)
            row = catalog.find(repo)
            path = hub.pull(
                row.source if row else repo,
                revision or (row.revision if row else "main"),
                token=token,
                local_files_only=local_files_only,
            )
        row = identify(path)
        checkpoint = read_checkpoint(path, row.source if row else repo)
        model = cls.from_checkpoint(checkpoint, patch_order)
        kwargs.setdefault("dtype", torch.float32)
        # The inherited method does the rest: devices, number formats, hooks.
        loaded: BiRefNet = super().from_pretrained(
            None, config=model.config, state_dict=checkpoint.weights, **kwargs
        )
        return loaded


AutoConfig.register(BiRefNetConfig.model_type, BiRefNetConfig)
AutoModelForImageSegmentation.register(BiRefNetConfig, BiRefNet)
