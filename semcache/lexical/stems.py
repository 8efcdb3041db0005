"""English words without their endings, so that inflected forms meet. Cheap, and only that good."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

_VOWELS = frozenset("aeiouy")
_IRREGULAR: Mapping[str, str] = dict(
    pair.split("=")
    for pair in (
        "ran=run bought=buy went=go gone=go goes=go wrote=write written=write children=child "
        "women=woman men=man people=person found=find made=make did=do does=do done=do got=get "
        "gotten=get took=take taken=take gave=give given=give saw=see seen=see sent=send "
        "said=say told=tell thought=think felt=feel kept=keep lost=lose paid=pay "
        "sold=sell won=win ate=eat eaten=eat drank=drink drunk=drink spoke=speak spoken=speak "
        "chose=choose chosen=choose broke=break broken=break built=build grew=grow grown=grow "
        "knew=know known=know met=meet read=read came=come became=become began=begin begun=begin "
        "fell=fall fallen=fall held=hold led=lead meant=mean slept=sleep spent=spend stood=stand "
        "taught=teach understood=understand wore=wear worn=wear feet=foot teeth=tooth mice=mouse "
        "died=die dying=die lying=lie using=use used=use uses=use better=good has=have had=have "
        "news=news series=series species=species always=always this=this lens=lens "
        "analyses=analysis "
        "criteria=criterion data=data media=media flew=fly flown=fly drove=drive driven=drive "
        "colour=color favourite=favorite grey=gray centre=center behaviour=behavior"
    ).split()
)


@lru_cache(maxsize=16384)
def stem(word: str) -> str:
    """The stem of a lower-case word."""
    if word.endswith("'s"):
        word = word[:-2]
    if word in _IRREGULAR:
        word = _IRREGULAR[word]
    if len(word) <= 3 or not word.isascii():
        return word
    return _without_e(_without_ending(word))


def _without_ending(word: str) -> str:
    if word.endswith(("ies", "ied")) and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("s"):
        return _singular(word)
    for ending in ("ing", "ed"):
        base = word.removesuffix(ending)
        if base != word and len(base) >= 3 and _VOWELS.intersection(base):
            return _undoubled(base)
    return word


def _singular(word: str) -> str:
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    return word if word.endswith(("ss", "us", "is")) else word[:-1]


def _undoubled(base: str) -> str:
    return base[:-1] if base[-1] == base[-2] and base[-1] not in "lsz" else base


def _without_e(word: str) -> str:
    return word[:-1] if word.endswith("e") and len(word) > 3 else word
