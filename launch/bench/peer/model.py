"""The reference model (contract 5) in PyTorch: the same parameters by the same names, the same losses.

Two forms of the touches. Packed: one row a touch of the batch, journeys by an index. Padded: [journeys,
longest, ...] with a mask. Both share what an attentive user would share: the touch is encoded with and
without its item from one product of its other features, and a context's half of a head runs once a journey.
"""
import torch
import torch.nn.functional as F

HEADS = 4
POOL_CLAMP = 8.0
OUTCOME_FLOOR = 1e-7
LOSS_WEIGHTS = {"mediator": 0.1, "outcome": 1.0, "second_stage": 1.0}


def shapes(dense_width, cats, clusters, positions, touch_features):
    """Rows and columns of every dense parameter by name. touch_features: scalars, dense and indicators."""
    features = 32 + 8 + touch_features
    found = {
        "context/dense": (dense_width, 128, True),
        "context/cat": (16 * cats, 128, False),
        "context/out": (128, 64, True),
        "touch/features": (features, 64, True),
        "touch/item": (32, 64, False),
        "touch/out": (64, 64, True),
        "order/qkv": (64, 192, True),
        "order/out": (64, 64, True),
        "confounding/touches": (65, 128, True),
        "confounding/context": (64, 128, False),
        "confounding/out": (128, 1, True),
        "second_stage/hidden": (64, 64, True),
        "second_stage/out": (64, 1, True),
    }
    tensors = {"touch/cluster": (clusters, 32), "touch/position": (positions, 8), "order/start": (2, 64)}
    tensors["confounding/pool"] = (1, 64)
    for head in ("mediator", "potency"):
        found |= {f"{head}/touch": (64, 64, True), f"{head}/context": (64, 64, False), f"{head}/out": (64, 1, True)}
        tensors |= {f"{head}/cluster_bias": (1, clusters), f"{head}/cluster_vector": (clusters, 64)}
    for name, (rows, cols, bias) in found.items():
        tensors[f"{name}/weight"] = (rows, cols)
        if bias:
            tensors[f"{name}/bias"] = (1, cols)
    return tensors


def decays(name):
    """Whether AdamW's weight decay applies to it, as in the engine."""
    return name.endswith(("/weight", "/cluster_vector", "touch/cluster", "touch/position"))


def linear(p, name, x):
    y = x @ p[f"{name}/weight"]
    return y + p[f"{name}/bias"] if f"{name}/bias" in p else y


def encode_context(p, batch, cats):
    hidden = linear(p, "context/dense", batch["dense"]) + linear(p, "context/cat", cats.flatten(1))
    return torch.relu(linear(p, "context/out", torch.relu(hidden)))


def encode_touches(p, batch, items):
    """With the item and as if it were unknown, each [..., 64]."""
    features = torch.cat(
        [
            F.embedding(batch["cluster"], p["touch/cluster"]),
            F.embedding(batch["position"], p["touch/position"]),
            batch["touch_features"],
        ],
        -1,
    )
    shared = linear(p, "touch/features", features)
    with_item = torch.relu(shared + linear(p, "touch/item", items))
    return torch.relu(linear(p, "touch/out", with_item)), torch.relu(linear(p, "touch/out", torch.relu(shared)))


def attend(p, batch, qkv, journeys, longest):
    """qkv [journeys, longest, 192] -> [journeys, longest, 64]; every touch sees the start token."""
    q, k, v = qkv.view(journeys, longest, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
    start = p["order/start"].view(2, 1, HEADS, 1, -1).expand(2, journeys, HEADS, 1, q.shape[-1])
    mixed = F.scaled_dot_product_attention(
        q, torch.cat([start[0], k], 2), torch.cat([start[1], v], 2), attn_mask=batch["causal"]
    )
    return mixed.permute(0, 2, 1, 3).reshape(journeys, longest, -1)


class Packed:
    """Touches one after the other; only attention goes through a padded grid."""

    @staticmethod
    def order(p, batch, encoded):
        journeys, longest = batch["outcome"].shape[0], batch["causal"].shape[0]
        qkv = linear(p, "order/qkv", encoded)
        grid = qkv.new_zeros(journeys * longest, qkv.shape[1]).index_copy(0, batch["slot"], qkv)
        mixed = attend(p, batch, grid.view(journeys, longest, -1), journeys, longest)
        return encoded + linear(p, "order/out", mixed.reshape(journeys * longest, -1)[batch["slot"]])

    @staticmethod
    def of_journey(batch, values):
        return values[batch["journey"]]

    @staticmethod
    def sum(batch, values):
        return values.new_zeros(batch["outcome"].shape[0], *values.shape[1:]).index_add(0, batch["journey"], values)


class Padded:
    """Every journey as long as the longest there may be; touches beyond its own count for nothing."""

    @staticmethod
    def order(p, batch, encoded):
        journeys, longest = batch["cluster"].shape
        return encoded + linear(p, "order/out", attend(p, batch, linear(p, "order/qkv", encoded), journeys, longest))

    @staticmethod
    def of_journey(batch, values):
        return values.unsqueeze(1)

    @staticmethod
    def sum(batch, values):
        mask = batch["mask"]
        return (values * (mask if values.dim() == 2 else mask.unsqueeze(-1))).sum(1)


def touch_head(form, p, name, batch, encoded, context):
    joined = linear(p, f"{name}/touch", encoded) + form.of_journey(batch, linear(p, f"{name}/context", context))
    logit = linear(p, f"{name}/out", torch.relu(joined)).squeeze(-1)
    vector = F.embedding(batch["cluster"], p[f"{name}/cluster_vector"])
    bilinear = (vector * form.of_journey(batch, context)).sum(-1)
    return logit + F.embedding(batch["cluster"], p[f"{name}/cluster_bias"].t()).squeeze(-1) + bilinear


def confounding(form, p, batch, encoded, context):
    score = (encoded @ p["confounding/pool"].t()).squeeze(-1).clamp(-POOL_CLAMP, POOL_CLAMP).exp()
    total = form.sum(batch, score).clamp_min(1e-30)
    pooled = form.sum(batch, encoded * score.unsqueeze(-1)) / total.unsqueeze(-1)
    pooled = torch.cat([pooled, batch["log_touches"]], 1)
    hidden = torch.relu(linear(p, "confounding/touches", pooled) + linear(p, "confounding/context", context))
    return linear(p, "confounding/out", hidden).squeeze(-1)


def losses(form, p, batch, cats, items):
    """Sums over the batch: mediator, outcome, second stage. cats [journeys, Fc, 16], items [touches, 32]
    or [journeys, longest, 32]: the rows of the two tables that the batch uses."""
    context = encode_context(p, batch, cats)
    encoded, plain = encode_touches(p, batch, items)
    mediator_logit = touch_head(form, p, "mediator", batch, form.order(p, batch, encoded), context)
    potency = touch_head(form, p, "potency", batch, plain, context)
    h = confounding(form, p, batch, encoded, context)
    second = linear(p, "second_stage/out", torch.relu(linear(p, "second_stage/hidden", context))).squeeze(-1)

    mediator = batch["mediator"]
    share = mediator * F.softplus(potency)
    of_mediator = F.binary_cross_entropy_with_logits(mediator_logit, mediator, reduction="none")
    if "missing" in batch:
        unseen = -torch.log1p(-torch.sigmoid(potency) * torch.sigmoid(mediator_logit))
        share = torch.where(batch["missing"], unseen, share)
        of_mediator = of_mediator.masked_fill(batch["missing"], 0)
    exponent = F.softplus(h) + form.sum(batch, share)
    outcome = batch["outcome"]
    if_one = -torch.log((-torch.expm1(-exponent)).clamp_min(OUTCOME_FLOOR))
    of_outcome = torch.where(outcome > 0, if_one, exponent.clamp_min(OUTCOME_FLOOR))
    of_second = (torch.sigmoid(-h).detach() - torch.sigmoid(second)).square()
    weight = batch["weight"]
    return (weight * form.sum(batch, of_mediator)).sum(), (weight * of_outcome).sum(), (weight * of_second).sum()


def weighted(parts):
    return sum(weight * part for weight, part in zip(LOSS_WEIGHTS.values(), parts))
