"""Why a request would be answered as it would: the same layers are asked, and nothing is changed.

No answerer is called, nothing is stored, counted or remembered. All texts shown are of the request
itself and of entries that could answer it; of the tenant's other scopes only distances are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from semcache import freshness, policy
from semcache.guards import GUARDS
from semcache.interfaces import (
    Asked,
    Bypass,
    Candidate,
    Decision,
    Encoded,
    Hit,
    Miss,
    Verdict,
)
from semcache.judging import by_answer
from semcache.keys import Scope
from semcache.layers import Layers
from semcache.reply import Plan
from semcache.volatile import Timeliness

OTHER_SCOPES = 500
SHOWN_SCOPES = 3
MAIN_FEATURES = 8
_SHOWN = 16


def explain(layers: Layers, plan: Plan) -> dict[str, Any]:
    """Decision, key, candidates and near-duplicates elsewhere, for JSON. Blocking.

    Raises StoreError and EmbeddingError.
    """
    if not plan.admission.read:
        return _explanation(plan, Bypass(plan.admission.reason))
    now = layers.clock()
    decision = layers.consider(plan).decision
    told = _explanation(plan, decision)
    entry = layers.store.get(plan.key.exact)
    if entry is not None:
        exact = policy.judge_exact(entry, now, plan.directives)
        told["exact"] = {
            "entry_id": entry.id,
            "age_s": round(now - entry.created_at, 3),
            "refused": exact.reason if isinstance(exact, Miss) else None,
        }
    if plan.key.question is not None:
        told["withdrawn"] = withdrawn(layers, plan, plan.key.question)
    if plan.key.question is not None and layers.embedder is not None and layers.settings.semantic:
        encoded = layers.embedder.encode([plan.key.question])[0]
        _explain_meaning(told, layers, plan, encoded, now)
    return told


def _explain_meaning(
    told: dict[str, Any], layers: Layers, plan: Plan, encoded: Encoded, now: float
) -> None:
    unfit = policy.matchable(encoded, layers.settings)
    told["encoding"] = {
        "tokens": encoded.tokens,
        "unknown_share": round(encoded.unknown_share, 4),
        "unfit": unfit,
    }
    if unfit is not None or encoded.vector is None:
        return
    asked = Asked(plan.key.question or "", encoded.vector, encoded.sketch)
    kind = timeliness_of(layers, plan, asked)
    told["timeliness"] = {"kind": kind.kind}
    told["candidates"] = _Candidates(layers, plan, asked, now, kind).told()
    if told["decision"]["outcome"] != "hit":
        told["elsewhere"] = elsewhere(layers, plan.key.scope, asked)


def _explanation(plan: Plan, decision: Decision) -> dict[str, Any]:
    key, found = plan.key, plan.timeliness
    return {
        "object": "cache.explanation",
        "decision": told_decision(decision),
        "key": {"exact": key.exact[:32], **scope_digests(key.scope), "question": key.question},
        "timeliness": {"kind": found.kind},
        "exact": None,
        "encoding": None,
        "withdrawn": [],
        "candidates": [],
        "elsewhere": [],
    }


def told_decision(decision: Decision) -> dict[str, Any]:
    """A decision for JSON."""
    told: dict[str, Any] = {
        "outcome": type(decision).__name__.lower(),
        "reason": decision.reason,
    }
    if isinstance(decision, Hit):
        told["tier"] = decision.tier
        told["entry_id"] = decision.entry.id
        told["similarity"] = round(decision.similarity, 4)
        told["threshold"] = round(decision.threshold, 4)
    elif isinstance(decision, Miss):
        told["nearest"] = None if decision.nearest is None else round(decision.nearest, 4)
    if not isinstance(decision, Bypass):
        told["score"] = None if decision.score is None else round(decision.score, 4)
    return told


def scope_digests(scope: Scope) -> dict[str, str]:
    """The parts of a scope, none of them readable but the model that was asked for."""
    source = "\n".join((scope.source.answerer, scope.source.model, scope.source.knowledge))
    return {
        "tenant": scope.tenant[:8],
        "model": scope.model,
        "context": scope.context[:_SHOWN],
        "params": scope.params[:_SHOWN],
        "source": blake2b(source.encode(), digest_size=_SHOWN // 2).hexdigest(),
        "scope": scope.digest()[:_SHOWN],
    }


def withdrawn(layers: Layers, plan: Plan, question: str) -> list[dict[str, Any]]:
    """The scope's entries that somebody called wrong for this very question."""
    keys = layers.journal.refuted(question)
    entries = (layers.store.get(key) for key in sorted(keys))
    return [
        {"entry_id": entry.id, "question": entry.question, "state": entry.state or "refuted"}
        for entry in entries
        if entry is not None and entry.scope == plan.key.scope
    ]


def timeliness_of(layers: Layers, plan: Plan, asked: Asked) -> Timeliness:
    """By the rules, and by the question's vector where they are silent."""
    encoder = None if layers.embedder is None else layers.embedder.fingerprint
    question = plan.key.question
    return freshness.by_vector(plan.timeliness, question, asked.vector, encoder, layers.settings)


# ------------------------------------------------------------------------------------ candidates


@dataclass(frozen=True, slots=True)
class _Candidates:
    """What the search found in the request's own scope, each with all that speaks against it."""

    layers: Layers
    plan: Plan
    asked: Asked
    now: float
    kind: Timeliness

    def told(self) -> list[dict[str, Any]]:
        settings = self.layers.settings
        found = self.layers.neighbours(
            self.plan, self.asked, max(settings.candidates, settings.around)
        )
        near = found[: settings.candidates]
        told = [self._of(one) for one in near]
        verdicts = self._verdicts(near, told, found)
        for one, row in zip(near, told, strict=True):
            row["verifier"] = verdicts.get(one.entry.id)
        return told

    def _of(self, one: Candidate) -> dict[str, Any]:
        entry, settings = one.entry, self.layers.settings
        wishes = freshness.wishes(self.plan.directives, self.kind, settings)
        stale = policy.staleness(entry, self.now, wishes)
        vetoes = [
            {"guard": name, "reason": reason, "on": name in settings.guards}
            for name, guard in GUARDS.items()
            if (reason := guard(self.asked.question, one.question)) is not None
        ]
        on = {veto["guard"] for veto in vetoes if veto["on"]} if settings.guards_first else set()
        first = next((f"guard={name}" for name in settings.guards if name in on), None)
        far = one.similarity < policy.gate(self.plan.directives, settings)
        refused = "below threshold" if far else entry.state or stale or first
        return {
            "entry_id": entry.id,
            "question": one.question,
            "alias": one.alias is not None,
            "similarity": round(one.similarity, 4),
            "gptcache_score": round((1.0 + one.similarity) / 2.0, 4),
            "age_s": round(self.now - entry.created_at, 3),
            "stale": stale,
            "state": entry.state,
            "guards": vetoes,
            "refused": refused,
        }

    def _verdicts(
        self,
        near: Sequence[Candidate],
        told: Sequence[Mapping[str, Any]],
        found: Sequence[Candidate],
    ) -> dict[int, dict[str, Any]]:
        """As in the decision; what it was not asked about is judged alone, and says so."""
        verifier = self.layers.verifier
        if verifier is None or not near:
            return {}
        left = by_answer(
            [one for one, row in zip(near, told, strict=True) if row["refused"] is None]
        )
        verdicts = {}
        if left:
            for one, verdict in zip(left, verifier.judge(self.asked, left, found), strict=True):
                verdicts[one.entry.id] = _told_verdict(verdict, alone=False)
        for one in near:
            if one.entry.id not in verdicts:
                verdict = verifier.judge(self.asked, [one], found)[0]
                verdicts[one.entry.id] = _told_verdict(verdict, alone=True)
        return verdicts


def _told_verdict(verdict: Verdict, *, alone: bool) -> dict[str, Any]:
    main = sorted(verdict.features.items(), key=lambda item: -abs(item[1]))
    return {
        "serve": verdict.serve,
        "score": round(verdict.score, 4),
        "reason": verdict.reason,
        "slice": verdict.slice,
        "alone": alone,
        "features": {name: round(value, 4) for name, value in main[:MAIN_FEATURES] if value},
    }


# ----------------------------------------------------------------------------------- other scopes


def elsewhere(layers: Layers, own: Scope, asked: Asked) -> list[dict[str, Any]]:
    """The nearest questions in the tenant's other scopes, and what kept them apart.

    Only those beyond the gate. Their texts are not shown: a scope may be one user's.
    """
    found = [
        (one, apart(own, scope))
        for scope in layers.store.scopes(own.tenant, OTHER_SCOPES)
        if scope != own
        for one in layers.store.search(scope, asked.vector, 1)
        if one.similarity >= layers.settings.threshold
    ]
    found.sort(key=lambda pair: (-round(pair[0].similarity, 4), len(pair[1])))
    return [
        {
            "entry_id": one.entry.id,
            "similarity": round(one.similarity, 4),
            "differs": parts,
            "said": f"a near-duplicate (cosine {one.similarity:.2f}) exists under "
            + " and ".join(_UNDER[part] for part in parts),
        }
        for one, parts in found[:SHOWN_SCOPES]
    ]


_UNDER = {
    "model": "another model (model differs)",
    "answerer": "another engine or server (answerer differs)",
    "source model": "another version of the model that answers (source model differs)",
    "knowledge": "other knowledge documents (knowledge differs)",
    "context": "another system prompt or other earlier turns (context differs)",
    "params": "other parameters, tools, attachments or another user (params differ)",
}


def apart(one: Scope, other: Scope) -> list[str]:
    """Which parts of two scopes of a tenant differ."""
    pairs = {
        "model": (one.model, other.model),
        "answerer": (one.source.answerer, other.source.answerer),
        "source model": (one.source.model, other.source.model),
        "knowledge": (one.source.knowledge, other.source.knowledge),
        "context": (one.context, other.context),
        "params": (one.params, other.params),
    }
    return [name for name, (ours, theirs) in pairs.items() if ours != theirs]
