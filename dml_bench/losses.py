"""Losses: pure functions from tensors to one number. What has a memory is a method, not a loss."""

import torch
from torch import Tensor

from dml_bench.errors import RecipeError

FORMS = ("code", "paper")
NEGATIVES = ("all", "hard", "easy")


def invariance_spread(
    first: Tensor,
    second: Tensor,
    temperature: float = 0.1,
    form: str = "code",
    *,
    negative_weight: float = 1.0,
    negatives: str = "all",
    detach_keys: bool | None = None,
) -> Tensor:
    """Pull two views of an image together, push the images of a batch apart.

    The first term wants a view to choose its partner, the second wants nobody else to choose it.
    Two forms: what the authors' released code computes, and what the paper's equations say.

    | | `form="code"` | `form="paper"` |
    |---|---|---|
    | who asks | all 2B views | invariance: the B second views; spread: the B first views |
    | among whom | the 2B - 1 other views | the B first views |
    | itself in the spread's denominator | no | yes, with weight e^(1 / temperature) |
    | gradient through those asked | no | yes |
    | taken together | mean over the 2B views | sum |

    Args:
        first: (B, D) unit rows, one view of each image; B of 2 or more.
        second: (B, D) unit rows, the other view, in the same order.
        temperature: divides the cosine; smaller is sharper.
        form: "code" or "paper".
        negative_weight: multiplies the negatives in the denominator, and the spread term.
        negatives: "all", or the "hard" (most similar) or "easy" (least similar) half.
        detach_keys: let the gradient reach a view only as the one that asks; the form decides
            where it is None.

    Returns:
        () loss, 0 or more. Finite for any unit rows, coinciding or collapsed ones among them.

    Raises:
        RecipeError: an unknown form or choice of negatives.

    Example:
        >>> views = torch.eye(4)
        >>> round(float(invariance_spread(views, views)), 4)
        0.0005

    Source:
        Ye et al. (CVPR 2019), equations 3, 4 and 7 ("paper"); the authors' released criterion
        ("code"). Halves of the negatives: the paper's ablation (Table 8).

    Differs from the source:
        Logarithms are taken of sums, not of quotients, so that nothing overflows: the code gives
        NaN where a partner's probability rounds to 1. A negative's probability is held below 1
        (with a weight under 1 the code's can pass it). The paper's equations have no weight and
        no halves of negatives: there they act as in the code. "easy" is in no released code.
    """
    if form not in FORMS:
        raise RecipeError(f"expected form {' or '.join(FORMS)}, found '{form}'")
    if negatives not in NEGATIVES:
        raise RecipeError(f"expected negatives {', '.join(NEGATIVES)}, found '{negatives}'")
    terms = _code_form if form == "code" else _paper_form
    detached = form == "code" if detach_keys is None else detach_keys
    return terms(first, second, temperature, negative_weight, negatives, detached)


def _code_form(
    first: Tensor, second: Tensor, temperature: float, weight: float, negatives: str, detach: bool
) -> Tensor:
    views = torch.cat([first, second])  # (2B, D)
    logits = views @ _keys(views, detach).T / temperature  # (2B, 2B): row asks, column is asked
    size = len(views)
    itself = torch.eye(size, dtype=torch.bool, device=views.device)
    partner = itself.roll(size // 2, dims=1)
    counted = _chosen(logits, ~(itself | partner), negatives)
    log_p = _log_shares(logits, partner, counted, weight)
    invariance = log_p[partner].sum()
    return -(invariance + weight * _spread(log_p, counted).sum()) / size


def _paper_form(
    first: Tensor, second: Tensor, temperature: float, weight: float, negatives: str, detach: bool
) -> Tensor:
    keys = _keys(first, detach)
    itself = torch.eye(len(first), dtype=torch.bool, device=first.device)
    across = second @ keys.T / temperature  # (B, B): second view j asks for first view i
    among = first @ keys.T / temperature  # (B, B): first view j asks for first view i
    pull = _log_shares(across, itself, _chosen(across, ~itself, negatives), weight)
    counted = _chosen(among, ~itself, negatives)
    push = _log_shares(among, itself, counted, weight)
    return -(pull[itself].sum() + weight * _spread(push, counted).sum())


def _keys(views: Tensor, detach: bool) -> Tensor:
    return views.detach() if detach else views


def _chosen(logits: Tensor, candidates: Tensor, negatives: str) -> Tensor:
    """Return which candidates count as negatives: all, or half of each row by similarity."""
    if negatives == "all":
        return candidates
    last = -torch.inf if negatives == "hard" else torch.inf
    ranked = logits.detach().masked_fill(~candidates, last)
    n_kept = int(candidates[0].sum()) // 2
    kept = ranked.topk(n_kept, dim=1, largest=negatives == "hard").indices
    return torch.zeros_like(candidates).scatter(1, kept, True)


def _log_shares(logits: Tensor, wanted: Tensor, counted: Tensor, weight: float) -> Tensor:
    """Return log P(row takes column) among the one wanted and the negatives.

    As in the code, the weight multiplies a negative in the denominator, not in the numerator.
    """
    scale = torch.zeros_like(logits).masked_fill(counted, weight).masked_fill(wanted, 1.0)
    return logits - (logits + scale.log()).logsumexp(dim=1, keepdim=True)  # log 0 leaves out


def _spread(log_p: Tensor, counted: Tensor) -> Tensor:
    """Return (rows,) the sum over the negatives of log(1 - P), with 1 - P kept above rounding."""
    floor = torch.finfo(log_p.dtype).eps
    log_p = log_p.masked_fill(~counted, -torch.inf).clamp(max=-floor)
    return _log1mexp(log_p).masked_fill(~counted, 0.0).sum(dim=1)


def _log1mexp(log_p: Tensor) -> Tensor:
    """Return log(1 - e^x) for x < 0, accurate near 0 and far below it.

    Source: Maechler, "Accurately computing log(1 - exp(-|a|))" (2012), equation 7.
    """
    near = log_p > -0.6931
    small = torch.where(near, log_p, torch.full_like(log_p, -1.0))
    far = torch.where(near, torch.full_like(log_p, -1.0), log_p)
    return torch.where(near, (-torch.expm1(small)).log(), torch.log1p(-far.exp()))
