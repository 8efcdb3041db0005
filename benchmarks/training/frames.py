"""Plain rewordings: questions and statements in frames, active and passive, verb and noun.

A deed is a verb in its base form, its -ing form, its participle and its thing. Frames say the same
about a deed in several ways; a trap exchanges the deed, the means, the limit, or what is claimed
about it. Frames and deeds of the held-out part are not those of the training part.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

from benchmarks.training import words
from benchmarks.training.pairs import Pair

# verb|-ing|participle|thing|thing of the same verb that is another matter
_DEEDS = words.lines_of("""
clean|cleaning|cleaned|the coffee machine|the oven
repair|repairing|repaired|a leaking tap|a broken window
paint|painting|painted|a wooden fence|a metal gate
book|booking|booked|a train ticket|a hotel room
rent|renting|rented|a small van|a motorbike
store|storing|stored|winter tires|summer clothes
upload|uploading|uploaded|large files|profile pictures
export|exporting|exported|customer records|monthly reports
import|importing|imported|bank statements|calendar entries
configure|configuring|configured|the mail server|the web server
monitor|monitoring|monitored|the network traffic|the disk usage
encrypt|encrypting|encrypted|a hard drive|an email
compress|compressing|compressed|video recordings|log files
train|training|trained|a language model|an image classifier
evaluate|evaluating|evaluated|a new supplier|a trial version
translate|translating|translated|a legal document|a short poem
record|recording|recorded|an online meeting|a phone call
schedule|scheduling|scheduled|a doctor's appointment|a video call
approve|approving|approved|a travel request|an expense report
share|sharing|shared|a calendar|a folder
print|printing|printed|shipping labels|business cards
grow|growing|grown|tomatoes|strawberries
prune|pruning|pruned|rose bushes|apple trees
cook|cooking|cooked|brown rice|dried beans
freeze|freezing|frozen|fresh herbs|cooked pasta
reduce|reducing|reduced|food waste|electricity costs
measure|measuring|measured|the room temperature|blood sugar
treat|treating|treated|a sprained ankle|a minor burn
prevent|preventing|prevented|back pain|eye strain
teach|teaching|taught|basic algebra|creative writing
organise|organising|organised|a charity run|a team meeting
replace|replacing|replaced|the water filter|the air filter
install|installing|installed|a smoke detector|a door lock
update|updating|updated|the phone's software|the shipping address
verify|verifying|verified|an email address|a phone number
test|testing|tested|the backup power supply|a payment form
debug|debugging|debugged|a memory leak|a network timeout
deploy|deploying|deployed|a static website|a database cluster
parse|parsing|parsed|date strings|command line arguments
cache|caching|cached|search results|user sessions
split|splitting|split|a large table|a long document
merge|merging|merged|two spreadsheets|two accounts
filter|filtering|filtered|duplicate rows|spam messages
register|registering|registered|a trademark|a used car
insure|insuring|insured|a bicycle|a rented flat
renew|renewing|renewed|a library card|a parking permit
sell|selling|sold|handmade jewellery|old furniture
return|returning|returned|faulty goods|borrowed books
negotiate|negotiating|negotiated|a lower rent|a higher salary
calculate|calculating|calculated|monthly payments|travel expenses
""")

_ASKED = (
    (
        "How do I {verb} {thing}?", "What is the best way to {verb} {thing}?",
        "What are some tips for {ing} {thing}?", "How can {thing} be {done}?",
        "What should I know about {ing} {thing}?", "{ing} {thing}, how is it done?",
        "Any advice on how to {verb} {thing}?", "I would like to {verb} {thing}. How do I do it?",
        "What does it take to {verb} {thing}?", "How does one go about {ing} {thing}?",
        "Please explain how to {verb} {thing}", "guide to {ing} {thing}",
        "Which steps are needed to {verb} {thing}?", "how to {verb} {thing} properly",
        "What's a good approach for {ing} {thing}?", "I'm trying to {verb} {thing}, what do I do?",
    ),
    (
        "Why should I {verb} {thing}?", "What are the reasons for {ing} {thing}?",
        "What is the point of {ing} {thing}?", "For what reason does one {verb} {thing}?",
        "What are the benefits of {ing} {thing}?", "What do I gain by {ing} {thing}?",
    ),
    (
        "How long does it take to {verb} {thing}?", "How much time does {ing} {thing} take?",
        "What time is needed for {ing} {thing}?", "In how much time can {thing} be {done}?",
        "{ing} {thing}: how long does it take?", "How many hours should I plan to {verb} {thing}?",
    ),
    (
        "How much does it cost to {verb} {thing}?", "What are the costs of {ing} {thing}?",
        "What would I pay to {verb} {thing}?",
        "Is it expensive to {verb} {thing}? What's the cost?",
        "What is the price of {ing} {thing}?", "cost of {ing} {thing}",
    ),
    (
        "How often should I {verb} {thing}?", "At what intervals should {thing} be {done}?",
        "How frequently do I need to {verb} {thing}?",
        "What is the right frequency for {ing} {thing}?",
        "how many times a year should one {verb} {thing}",
    ),
    (
        "Who can {verb} {thing} for me?", "Whom do I ask to {verb} {thing}?",
        "Who is able to help with {ing} {thing}?",
        "I need somebody who will {verb} {thing}, who does that?",
    ),
    (
        "Where can I {verb} {thing}?", "In what place can {thing} be {done}?",
        "What is a good place for {ing} {thing}?", "I'm looking for somewhere to {verb} {thing}.",
    ),
    (
        "Is it legal to {verb} {thing}?", "Does the law allow {ing} {thing}?",
        "Am I allowed by law to {verb} {thing}?", "Can I {verb} {thing} without breaking the law?",
    ),
    (
        "What can go wrong when I {verb} {thing}?", "What are the risks of {ing} {thing}?",
        "Which mistakes are common when {ing} {thing}?",
        "What problems may come up when {thing} is {done}?",
    ),
    (
        "When is the right time to {verb} {thing}?", "At what point should {thing} be {done}?",
        "When should I {verb} {thing}?", "best time for {ing} {thing}",
    ),
    (
        "Which tools do I need to {verb} {thing}?",
        "What equipment is necessary for {ing} {thing}?",
        "What do I need to have at hand to {verb} {thing}?", "tools required for {ing} {thing}",
    ),
)  # fmt: skip

_TOLD = (
    (
        "You can {verb} {thing} with {means}.", "{Thing} can be {done} with {means}.",
        "With {means}, you can {verb} {thing}.", "{Means} lets you {verb} {thing}.",
        "It is possible to {verb} {thing} using {means}.", "{Means} makes {ing} {thing} possible.",
        "{Means} allows for {ing} {thing}.", "Use {means} to {verb} {thing}.",
        "To {verb} {thing}, use {means}.", "{Means} can be used to {verb} {thing}.",
        "{Means} is used for {ing} {thing}.", "For {ing} {thing}, {means} is available.",
    ),
    (
        "You must {verb} {thing} {limit}.", "{Thing} must be {done} {limit}.",
        "It is necessary to {verb} {thing} {limit}.", "{limit}, you have to {verb} {thing}.",
        "Everyone is required to {verb} {thing} {limit}.", "{ing} {thing} {limit} is mandatory.",
    ),
    (
        "We do not {verb} {thing} {limit}.", "{Thing} cannot be {done} by us {limit}.",
        "{ing} {thing} {limit} is not something that we offer.",
        "{limit}, we don't {verb} {thing}.",
        "Unfortunately, we are unable to {verb} {thing} {limit}.",
    ),
    (
        "Our team will {verb} {thing} {limit}.", "{Thing} will be {done} by our team {limit}.",
        "{limit}, our team is going to {verb} {thing}.",
        "{limit}, {thing} will be {done} by our team.",
    ),
    (
        "{Means} is needed before you {verb} {thing}.", "Before {ing} {thing}, {means} is needed.",
        "You need {means} before {thing} can be {done}.", "{ing} {thing} requires {means} first.",
        "Without {means}, {thing} cannot be {done}.",
    ),
    (
        "The handbook describes how to {verb} {thing}.",
        "How to {verb} {thing} is described in the handbook.",
        "There is a description of {ing} {thing} in the handbook.",
        "A guide to {ing} {thing} is found in the handbook.",
        "The handbook provides instructions for {ing} {thing}.",
    ),
    (
        "The handbook does not explain how to {verb} {thing}.",
        "How to {verb} {thing} is not explained in the handbook.",
        "No explanation of {ing} {thing} is given in the handbook.",
        "The handbook has no information on {ing} {thing}.",
    ),
    (
        "The easiest way to {verb} {thing} is {means}.",
        "{Means} is the simplest way of {ing} {thing}.",
        "{ing} {thing} is easiest with {means}.", "With {means}, {ing} {thing} is simplest.",
        "If you want to {verb} {thing}, {means} is the easiest choice.",
    ),
)  # fmt: skip

_MEANS = words.lines_of("""
the mobile app
the admin panel
a special brush
the command line tool
an ordinary spreadsheet
the built-in wizard
a paid licence
the partner portal
a simple script
the search function
a written form
the upload method
the second menu
a soft cloth
an access token
the older version
the customer hotline
a valid passport
""")
_LIMITS = words.lines_of("""
on weekends
twice a year
before the end of the month
within three days
after the first week
at least once a quarter
in the main building
for new customers
during the summer
without prior notice
in the first year
until further notice
by 6 pm
for orders above 50 euros
""")


class Frames:
    """Pairs of one part."""

    def __init__(self, rng: random.Random, *, held_out: bool) -> None:
        self._rng = rng
        self._deeds = [line.split("|") for line in words.part(_DEEDS, held_out=held_out)]
        self._means = words.part(_MEANS, held_out=held_out)
        self._limits = words.part(_LIMITS, held_out=held_out)
        self._kinds = [
            [frames for at, frames in enumerate(kinds) if (at % 4 == 1) is held_out]
            for kinds in (_ASKED, _TOLD)
        ]

    def pairs(self, count: int) -> Iterator[Pair]:
        """Paraphrases and traps, about as many of each."""
        for _ in range(count):
            kinds = self._rng.choice(self._kinds)
            frames = self._rng.choice(kinds)
            one, other = self._rng.sample(frames, 2)
            filled = self._filled()
            if self._rng.random() < 0.5:
                yield Pair(_said(one, filled), _said(other, filled), True, "frame")
                continue
            changed, kind = self._changed(filled, one)
            if kind == "frame question":
                other = self._rng.choice(self._rng.choice([k for k in kinds if k is not frames]))
            elif self._rng.random() < 0.4:
                other = one
            yield Pair(_said(one, filled), _said(other, changed), False, kind)

    def _filled(self) -> dict[str, str]:
        verb, ing, done, thing, second = self._rng.choice(self._deeds)
        filled = {"verb": verb, "ing": ing, "done": done, "thing": thing, "second": second}
        means, limit = self._rng.choice(self._means), self._rng.choice(self._limits)
        return {**filled, "means": means, "limit": limit}

    def _changed(self, filled: dict[str, str], frame: str) -> tuple[dict[str, str], str]:
        names = ["thing", "verb", "frame"]
        names += [name for name in ("means", "limit") if name in frame.lower()] * 2
        name = self._rng.choice(names)
        if name == "thing":
            return {**filled, "thing": filled["second"]}, "frame content"
        if name == "frame":
            return filled, "frame question"
        if name == "verb":
            others = [deed for deed in self._deeds if deed[0] != filled["verb"]]
            deed = self._rng.choice(others)
            return {**filled, "verb": deed[0], "ing": deed[1], "done": deed[2]}, "frame deed"
        options = self._means if name == "means" else self._limits
        return {
            **filled,
            name: self._rng.choice([one for one in options if one != filled[name]]),
        }, f"frame {name}"


def _said(frame: str, filled: Mapping[str, str]) -> str:
    capital = {name.capitalize(): value[:1].upper() + value[1:] for name, value in filled.items()}
    text = frame.format(**filled, **capital)
    return text[:1].upper() + text[1:] if frame[-1] in ".?" else text
