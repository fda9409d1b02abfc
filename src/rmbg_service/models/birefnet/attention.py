"""Attention within windows: few tokens, many windows.

PyTorch's fused kernel is written for long sequences. For 49 or 144 tokens in bfloat16 on a CPU
without AMX, two batched matrix products around an exponential take two thirds of its time; with
AMX, in float32, and on accelerators, the fused kernel is the faster one.
"""

import torch
from torch import Tensor
from torch.nn import functional

from rmbg_service.models.birefnet.precision import cpu_has_amx

EXP_LIMIT = 80.0
"""Sums of exponentials of up to this size, and of its negative, are normal numbers in bfloat16."""

CPU_SCORES = 2**19
"""Scores at a time for each thread of a CPU: they should stay in its cache."""


def window_attention(qkv: Tensor, bias: Tensor, bias_limit: float) -> Tensor:
    """Attention of `qkv` `(windows, N, 3, heads, d)`: `(windows, N, heads * d)`.

    `bias` `(heads, N, N)` is added to the scores; its finite entries lie within `bias_limit` of 0.
    """
    w, n, _, heads, d = qkv.shape
    on_cpu = qkv.device.type == "cpu"
    if on_cpu and qkv.dtype == torch.bfloat16 and not cpu_has_amx():
        at_a_time = max(1, CPU_SCORES * torch.get_num_threads() // (heads * n * n))
        parts = [_by_products(part, bias, bias_limit) for part in torch.split(qkv, at_a_time)]
        y = parts[0] if len(parts) == 1 else torch.cat(parts)
    else:
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
    return y.transpose(1, 2).reshape(w, n, heads * d)


def _by_products(qkv: Tensor, bias: Tensor, bias_limit: float) -> Tensor:
    """The same by two batched matrix products: `(windows, heads, N, d)`."""
    w, n, _, heads, d = qkv.shape
    q, k, v = qkv.permute(2, 0, 3, 1, 4).contiguous().flatten(1, 2)
    products = torch.bmm(q, k.transpose(1, 2))
    scores = products.view(w, heads, n, n)
    # Without subtracting each row's maximum, which costs as much as all the rest, if that is safe.
    small = (
        not torch.compiler.is_compiling() and _limit(products) * d**-0.5 + bias_limit < EXP_LIMIT
    )
    torch.add(bias, scores, alpha=d**-0.5, out=scores)
    if not small:
        return torch.bmm(scores.softmax(-1).flatten(0, 1), v).view(w, heads, n, d)
    products.exp_()
    y = torch.bmm(products, v).div_(products.sum(-1, keepdim=True))
    return y.view(w, heads, n, d)


def _limit(x: Tensor) -> float:
    """The largest absolute value; infinity if there is a NaN."""
    low, high = x.aminmax()
    limit = max(-low.item(), high.item())
    return limit if limit == limit else float("inf")
