"""GPTCache's configuration keys: defaults, aliases, and errors that name the key."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml

from semcache.errors import ConfigError
from semcache.gptcache.loading import load_gptcache
from semcache.gptcache.vocabulary import KNOWN_KEYS, read_vocabulary
from semcache.gptcache.words import VOCABULARY


def test_an_empty_configuration_means_gptcaches_defaults() -> None:
    settings = read_vocabulary({})
    assert settings.embedding == "onnx"
    assert settings.data_dir == Path("gptcache_data")
    assert settings.max_entries is None
    assert settings.eviction == "lru"
    assert settings.top_k == 1
    assert settings.evaluation == "distance"
    assert settings.semantic
    assert settings.similarity_threshold == 0.8
    assert settings.cosine_threshold == 0.6
    assert settings.pre_function == "get_prompt"
    assert settings.post_function == "first"
    assert settings.prompts == ()
    assert settings.template is None
    assert settings.skip_list == ("system", "assistant")
    assert settings.auto_flush == 20
    assert settings.given == frozenset()


def test_defaults_are_those_of_gptcaches_own_config_class() -> None:
    load_gptcache()
    from gptcache import Config

    theirs = vars(Config())
    ours = {w.path.removeprefix("config."): w.default for w in VOCABULARY if "config." in w.path}
    for name in inspect.signature(Config.__init__).parameters:
        if name != "self":
            assert name in ours
    for name, value in theirs.items():
        ours_is = list(ours[name]) if isinstance(ours[name], tuple) else ours[name]
        assert ours_is == ([] if name == "prompts" else value), name


def test_a_full_configuration_is_read() -> None:
    text = """
    model_source: ONNX
    model_config:
    storage_config:
        manager: sqlite, faiss
        data_dir: answers
        vector_params: {dimension: 384, top_k: 3}
        eviction_params: {max_size: 500, clean_size: 5, eviction: LFU}
    evaluation: Search_Distance
    evaluation_kws: {max_distance: 2.0, positive: false}
    pre_function: last_content_without_prompt
    pre_context_function: concat
    post_function: temperature_softmax
    config:
        similarity_threshold: 0.9
        prompts: ["You are a poet. "]
        skip_list: [system]
        auto_flush: 7
        data_check: true
        enable_token_counter: false
    server: {port: 1}
    """
    settings = read_vocabulary(yaml.safe_load(text))
    assert settings.embedding == "onnx"
    assert settings.embedding_config == {}
    assert settings.data_dir == Path("answers")
    assert (settings.max_entries, settings.eviction) == (500, "lfu")
    assert (settings.dimension, settings.top_k) == (384, 3)
    assert settings.cosine_threshold == 0.9
    assert settings.prompts == ("You are a poet. ",)
    assert settings.skip_list == ("system",)
    assert settings.auto_flush == 7
    assert "storage_config.data_dir" in settings.given
    assert "embedding_config" not in settings.given
    assert "evaluation_config.max_distance" in settings.given


def test_names_and_aliases_mean_the_same() -> None:
    config = {"similarity_threshold": 0.7}
    by_name = {"embedding": "onnx", "embedding_config": {"model": "x"}, "config": config}
    by_alias = {"model_source": "onnx", "model_config": {"model": "x"}, "config": config}
    assert read_vocabulary(by_name) == read_vocabulary(by_alias)
    assert read_vocabulary({"evaluation_kws": {"max_distance": 3}}) == read_vocabulary(
        {"evaluation_config": {"max_distance": 3}}
    )


def test_max_size_may_stand_beside_its_section() -> None:
    assert read_vocabulary({"storage_config": {"max_size": 9}}).max_entries == 9
    both: dict[str, Any] = {"max_size": 9, "eviction_params": {"max_size": 9}}
    assert read_vocabulary({"storage_config": both}).max_entries == 9
    both["max_size"] = 8
    with pytest.raises(ConfigError, match="differ"):
        read_vocabulary({"storage_config": both})


def test_exact_turns_near_duplicates_off() -> None:
    assert not read_vocabulary({"evaluation": "exact"}).semantic


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"storage_config": {"manger": "x"}}, r"'storage_config.manger': did you mean .*\.manager"),
        ({"config": {"threshold": 0.5}}, "did you mean 'config.similarity_threshold'"),
        ({"config": {"zzz": 1}}, "'config.zzz': known keys: auto_flush"),
        ({"storage_config": {"vector_params": {"topk": 1}}}, r"vector_params\.top_k"),
        ({"storage_config": "sqlite,faiss"}, "'storage_config' must be a section with keys"),
        ({"embedding": 5}, "'embedding' must be a text, not 5"),
        ({"embedding": "sbert"}, "'embedding: 'sbert'' is not available: .*'onnx'"),
        ({"embedding": "onnx", "model_source": "onnx"}, "'embedding' and 'model_source'"),
        ({"evaluation_config": {"positive": True}, "evaluation_kws": {}}, "keep one"),
        ({"config": {"similarity_threshold": 1.5}}, "'config.similarity_threshold' must be"),
        ({"config": {"similarity_threshold": True}}, "from 0 to 1, not True"),
        ({"config": {"prompts": "one"}}, "'config.prompts' must be a list of texts, not 'one'"),
        ({"config": {"prompts": ["("]}, "pre_function": "last_content_without_prompt"}, "regular"),
        ({"config": {"auto_flush": 0}}, "'config.auto_flush' must be a whole number"),
        ({"config": {"input_summary_len": 5}}, "must be null, not 5 .a question is never"),
        ({"config": {"log_time_func": "f"}}, "'config.log_time_func' must be null"),
        ({"storage_config": {"manager": "map"}}, "use 'sqlite,faiss'"),
        ({"storage_config": {"manager": "redis,milvus"}}, "use 'sqlite,faiss'"),
        ({"storage_config": {"scalar_params": {"sql_url": "x"}}}, "the database is in data_dir"),
        ({"storage_config": {"eviction": "RR"}}, "use LRU, LFU, FIFO or cost"),
        ({"storage_config": {"eviction_manager": "redis"}}, "use 'memory'"),
        ({"evaluation": "onnx"}, "'evaluation: onnx' is not available"),
        ({"evaluation": "distnace"}, "did you mean 'distance'"),
        (
            {"evaluation": "exact", "evaluation_config": {"positive": True}},
            "'evaluation: distance'",
        ),
        ({"evaluation_config": {"positive": True}}, "'max_distance' to 1"),
        ({"evaluation_config": {"max_distance": 0}}, "must be a number above 0"),
        ({"pre_function": "get_file_bytes"}, "reads a file"),
        ({"pre_function": "last_contnet"}, "Unknown 'pre_function' 'last_contnet'"),
        ({"pre_context_function": "summarization"}, "use 'concat' or leave it out"),
        ({"post_function": "best"}, "Unknown 'post_function' 'best'. Known: first"),
        (
            {"config": {"template": "a {"}, "pre_function": "last_content_without_template"},
            "broken",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_vocabulary(config)


def test_other_top_level_keys_are_left_alone() -> None:
    assert read_vocabulary({"server": {"port": 1}, "upstream": None}) == read_vocabulary({})


def test_known_keys_are_the_top_level_ones() -> None:
    assert {"embedding", "model_source", "storage_config", "evaluation_kws", "config"} <= set(
        KNOWN_KEYS
    )
    assert not any("." in key for key in KNOWN_KEYS)
    assert len(set(KNOWN_KEYS)) == len(KNOWN_KEYS)


def test_every_word_is_explained_and_its_default_fits_its_kind() -> None:
    for word in VOCABULARY:
        assert word.meaning.endswith("."), word.path
        assert word.default is None or word.kind.holds(word.default), word.path
        assert bool(word.only) <= bool(word.instead), word.path
