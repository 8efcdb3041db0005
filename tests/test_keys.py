"""Keys: what differs in anything that matters is apart; what does not matter does not count."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from semcache.chat import ChatRequest
from semcache.keys import RequestKey, Source, exact_key, request_key, tenant_of

settings.register_profile("calm", deadline=None)
settings.load_profile("calm")

Body = dict[str, Any]

texts = st.text(max_size=12).filter(lambda text: text.strip())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
parts = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": texts}),
    st.fixed_dictionaries(
        {"type": st.just("image_url"), "image_url": st.fixed_dictionaries({"url": texts})}
    ),
)
messages = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["system", "user", "assistant"]),
        "content": texts | st.lists(parts, min_size=1, max_size=3),
    },
    optional={"name": texts},
)
bodies = st.fixed_dictionaries(
    {"model": texts, "messages": st.lists(messages, min_size=1, max_size=3)},
    optional={
        "temperature": st.sampled_from([0, 0.5, 1, 2]),
        "top_p": st.sampled_from([0, 0.5, 1]),
        "n": st.integers(1, 4),
        "seed": st.integers(-9, 9),
        "stop": texts | st.lists(texts, min_size=1, max_size=2),
        "max_tokens": st.integers(1, 9),
        "response_format": st.fixed_dictionaries({"type": texts}, optional={"x": json_values}),
        "anything": json_values.filter(lambda value: value is not None),
    },
)


NOBODY = Source()


def key_of(body: Body, tenant: str = "t", source: Source = NOBODY) -> RequestKey:
    return request_key(ChatRequest.from_wire(body, tenant=tenant), source)


def shuffled(value: Any, random: Any) -> Any:
    if isinstance(value, dict):
        items = list(value.items())
        random.shuffle(items)
        return {name: shuffled(one, random) for name, one in items}
    if isinstance(value, list):
        return [shuffled(one, random) for one in value]
    return value


@given(bodies, st.randoms(use_true_random=False))
def test_the_order_of_members_does_not_matter(body: Body, random: Any) -> None:
    assert key_of(body) == key_of(shuffled(body, random))


@given(bodies, st.booleans(), texts)
def test_what_cannot_change_an_answer_does_not_matter(body: Body, flag: bool, text: str) -> None:
    extra = {
        "stream": flag,
        "stream_options": {"include_usage": flag},
        "user": text,
        "metadata": {text: text},
        "safety_identifier": text,
        "prompt_cache_key": text,
        "service_tier": text,
        "store": flag,
        "top_logprobs": None,
    }
    assert key_of(body) == key_of({**body, **extra})


names = st.text(max_size=4)


def key_per_user(body: Body) -> RequestKey:
    return request_key(ChatRequest.from_wire(body, tenant="t"), per_user=True)


@given(bodies, st.tuples(names, names), st.tuples(names, names))
def test_per_user_the_named_user_is_part_of_the_scope(
    body: Body, one: tuple[str, str], other: tuple[str, str]
) -> None:
    first, second = (
        key_per_user({**body, "safety_identifier": safety, "user": user})
        for safety, user in (one, other)
    )
    assert (first.exact == second.exact) is (one == other)
    assert (first.scope == second.scope) is (one == other)
    named = any(one)
    unnamed = key_per_user(body)
    assert (first == unnamed) is not named
    assert unnamed == key_of(body)


def test_one_field_cannot_stand_for_the_other() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "What is my balance?"}]}
    assert key_per_user({**body, "user": "a"}) != key_per_user({**body, "safety_identifier": "a"})


def canonical(body: Body) -> str:
    """An independent notion of sameness: JSON with sorted members, numbers by value."""
    numbers = ("temperature", "top_p")
    kept = {k: float(v) if k in numbers else v for k, v in body.items() if v is not None}
    return json.dumps(kept, sort_keys=True)


@given(bodies, bodies)
def test_different_requests_have_different_keys(one: Body, other: Body) -> None:
    assume(canonical(one) != canonical(other))
    assert key_of(one).exact != key_of(other).exact


@given(bodies, st.data())
def test_a_change_in_one_field_changes_key_and_scope(body: Body, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted({*body, "seed", "anything", "tools"} - {"messages"})))
    choices: dict[str, Any] = {
        "model": texts,
        "temperature": st.sampled_from([0, 0.25, 0.5, 1, 1.5]),
        "top_p": st.sampled_from([0, 0.25, 0.5]),
        "n": st.integers(1, 9),
        "seed": st.integers(-99, 99),
        "stop": texts,
        "max_tokens": st.integers(1, 99),
        "response_format": st.fixed_dictionaries({"type": texts}),
        "anything": json_values.filter(lambda value: value is not None),
        "tools": st.just([{"type": "function", "function": {"name": "f"}}]),
    }
    changed = {**body, name: data.draw(choices[name])}
    assume(canonical(changed) != canonical(body))
    before, after = key_of(body), key_of(changed)
    assert before.exact != after.exact
    assert before.scope != after.scope


@given(bodies, texts)
def test_only_the_last_user_text_may_differ_inside_a_scope(body: Body, text: str) -> None:
    plain = {"role": "user", "content": "What is it?"}
    one = {**body, "messages": [*body["messages"], plain]}
    other = {**body, "messages": [*body["messages"], {"role": "user", "content": text}]}
    assume(text != "What is it?")
    assert key_of(one).scope == key_of(other).scope
    assert key_of(one).exact != key_of(other).exact
    assert key_of(other).question == text


@given(bodies, st.data())
def test_an_earlier_message_is_part_of_the_scope(body: Body, data: st.DataObject) -> None:
    last = {"role": "user", "content": "What is it?"}
    earlier = [*body["messages"]]
    at = data.draw(st.integers(0, len(earlier) - 1))
    earlier[at] = data.draw(messages.filter(lambda message: message != earlier[at]))
    one = {**body, "messages": [*body["messages"], last]}
    other = {**body, "messages": [*earlier, last]}
    assert key_of(one).scope != key_of(other).scope
    assert key_of(one).exact != key_of(other).exact


@pytest.mark.parametrize("name", ["answerer", "model", "knowledge"])
@given(body=bodies, value=texts)
def test_who_answers_is_part_of_the_scope(name: str, body: Body, value: str) -> None:
    changed = Source(**{name: value})
    assert key_of(body).scope != key_of(body, source=changed).scope
    assert key_of(body).exact != key_of(body, source=changed).exact


@given(bodies, texts, texts)
def test_tenants_are_apart(body: Body, one: str, other: str) -> None:
    assume(one != other)
    assert key_of(body, one).scope.digest() != key_of(body, other).scope.digest()
    assert key_of(body, one).exact != key_of(body, other).exact


def test_a_completion_is_not_a_chat() -> None:
    chat = ChatRequest.from_wire(
        {"model": "m", "messages": [{"role": "user", "content": "a"}]}, tenant="t"
    )
    completion = ChatRequest.from_wire({"model": "m", "prompt": "a"}, tenant="t", kind="completion")
    assert exact_key(chat) != exact_key(completion)
    batches = ["a", ["a", "b"], [1, 2], [[1], [2]]]
    keys = {
        exact_key(ChatRequest.from_wire({"model": "m", "prompt": p}, tenant="t", kind="completion"))
        for p in batches
    }
    assert len(keys) == len(batches)


def test_keys_are_hexadecimal_digests_of_one_length() -> None:
    key = key_of({"model": "m", "messages": [{"role": "user", "content": "a"}]})
    for digest in (key.exact, key.scope.digest(), key.scope.context, key.scope.params):
        assert len(digest) == 64
        assert set(digest) <= set("0123456789abcdef")


def test_a_tenant_depends_on_key_and_secret_and_shows_neither() -> None:
    secret, other = b"a" * 32, b"b" * 32
    made = tenant_of(secret, "sk-1")
    assert made == tenant_of(secret, "sk-1")
    assert len({made, tenant_of(secret, "sk-2"), tenant_of(other, "sk-1")}) == 3
    assert "sk-1" not in made
    assert tenant_of(secret, None) == tenant_of(secret, "") == "anonymous"
