"""Questions as people ask an assistant, from templates with slots: paraphrases, and traps by slot.

A family is a few forms of one question. Two forms with the same slots have one answer; the same
form, or another one, with one slot changed has another. Slots are filled from the word lists and
from the lists below; a quarter of the families is held out.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Mapping
from string import Formatter

from benchmarks.training import words
from benchmarks.training.pairs import Pair

_SLOTS: Mapping[str, tuple[str, ...]] = {
    "lang": words.KINDS[0],
    "framework": words.KINDS[1],
    "db": words.KINDS[2],
    "cloud": words.KINDS[3],
    "os": words.KINDS[5],
    "browser": words.KINDS[6],
    "site": words.KINDS[7],
    "country": words.KINDS[12] + words.KINDS[14],
    "city": words.KINDS[15] + words.KINDS[16],
    "tongue": words.KINDS[17],
    "food": words.KINDS[21] + words.KINDS[22],
    "drug": words.KINDS[26],
    "illness": words.KINDS[27],
    "job": words.KINDS[29],
    "n": tuple("2 3 4 5 6 7 8 10 12 15 20 24 25 30 40 45 50 60 75 90 100 120 150 200 500".split()),
    "year": tuple(str(year) for year in range(1995, 2027)),
    "day": words.TIMES[4],
    "when": words.TIMES[0],
    "task": (
        "sort a list", "read a file line by line", "parse a date", "send an HTTP request",
        "reverse a string", "merge two dictionaries", "write unit tests", "connect to a database",
        "round a number", "remove duplicates from a list", "generate a random number",
        "format a string", "catch an exception", "start a thread", "copy a file", "parse JSON",
        "compare two strings", "make a regular expression", "read the environment", "log errors",
    ),
    "setting": (
        "two-factor authentication", "dark mode", "automatic updates", "notifications",
        "the firewall", "cookies", "location services", "spell checking", "autosave",
        "comments", "the guest account", "encryption", "autoplay", "backups", "the screen lock",
    ),
    "thing": (
        "a password", "an invoice", "a subscription", "an account", "a refund", "an appointment",
        "a delivery", "an order", "a contract", "a booking", "a shared folder", "a phone number",
        "an email address", "a payment method", "a profile picture", "a warranty claim",
    ),
    "concept": (
        "a closure", "a foreign key", "recursion", "a load balancer", "inflation", "a mutex",
        "compound interest", "photosynthesis", "a hash table", "gravity", "blockchain",
        "a deductible", "machine learning", "an index fund", "a virtual machine", "osmosis",
        "a webhook", "garbage collection", "a mortgage", "quantitative easing",
    ),
    "meal": ("lasagna", "pancakes", "risotto", "banana bread", "fried rice", "tomato soup",
             "an omelette", "hummus", "sushi", "apple pie", "meatballs", "pad thai"),
    "on": ("enable", "turn on", "switch on", "activate"),
    "off": ("disable", "turn off", "switch off", "deactivate"),
    "level": ("a child", "a beginner", "an expert", "a lawyer", "an engineer", "my grandmother"),
    "form": ("a haiku", "a sonnet", "an essay", "a limerick", "a short story", "a tweet"),
    "topic": ("the ocean", "autumn", "friendship", "the French Revolution", "climate change",
              "remote work", "my cat", "the moon landing", "unemployment", "neural networks"),
    "brief": ("in one sentence", "in detail", "as bullet points", "in 2000 words", "as a table",
              "with examples", "as a poem", "with a code example"),
    "part": ("capital", "population", "currency", "president", "national anthem", "time zone",
             "official language", "climate", "minimum wage", "highest mountain", "voting age"),
    "work": ("Hamlet", "The Odyssey", "Moby-Dick", "War and Peace", "Don Quixote", "Dracula",
             "Pride and Prejudice", "The Trial", "Ulysses", "Frankenstein", "Les Misérables"),
}  # fmt: skip

_FAMILIES: tuple[tuple[str, ...], ...] = (
    ("How do I {task} in {lang}?", "What is the best way to {task} in {lang}?", "{lang} {task}",
     "In {lang}, how do I {task}?", "I need to {task} using {lang}, how do I do it?",
     "Could you show me how to {task} with {lang}?"),
    ("How do I install {lang} on {os}?", "What are the steps to set up {lang} on {os}?",
     "install {lang} {os}", "I use {os}, how can I get {lang} installed?"),
    ("How do I {on} {setting} on {os}?", "How can I {on} {setting} in {os}?", "{os} {on} {setting}",
     "Where in {os} do I {on} {setting}?"),
    ("How do I {off} {setting} on {os}?", "How can I {off} {setting} in {os}?",
     "{os} {off} {setting}", "I want to {off} {setting} on my {os} device, how?"),
    ("How do I {on} {setting} on {site}?", "Steps to {on} {setting} for my {site} account",
     "Tell me how {setting} can be switched on in {site}"),
    ("How do I connect {framework} to {db}?", "What is the way to use {db} from {framework}?",
     "{framework} {db} connection", "Using {framework}, how do I talk to a {db} database?"),
    ("How do I deploy {framework} to {cloud}?", "Deploying a {framework} app on {cloud}, how?",
     "What does it take to run {framework} on {cloud}?"),
    ("What is the default port of {db}?", "Which port does {db} listen on by default?",
     "{db} default port", "What port number does {db} use unless I change it?"),
    ("What is the {part} of {country}?", "Can you tell me the {part} of {country}?",
     "{country} {part}", "I would like to know {country}'s {part}.", "{part} of {country}"),
    ("How long does it take to fly from {city} to {city2}?", "What is the flight time from {city}"
     " to {city2}?", "Flying from {city} to {city2}, how many hours is it?",
     "flight time {city} to {city2}"),
    ("What time is it in {city} when it is {n} past noon in {city2}?",
     "If it is {n} minutes past noon in {city2}, what time is it in {city}?"),
    ("How many days do I need in {city}?", "How long should a trip to {city} be?",
     "Recommended length of a stay in {city}"),
    ("What is the weather like in {city} {when}?", "How is the weather {when} in {city}?",
     "weather {city} {when}"),
    ("Do I need a visa for {country} as a citizen of {country2}?",
     "I am from {country2}, must I get a visa to visit {country}?",
     "Visa requirements for {country2} citizens going to {country}"),
    ("How long should I cook {food} for {n} people?", "What is the cooking time of {food} for a"
     " group of {n}?", "cooking {food} for {n} persons, how long"),
    ("How many calories are in {n} grams of {food}?", "How many kcal do {n} g of {food} have?",
     "calories {n}g {food}"),
    ("How do I make {meal} for {n} people?", "Recipe for {meal}, serves {n}",
     "Give me a recipe for {meal} for {n}."),
    ("What is the maximum daily dose of {drug}?", "How much {drug} may I take per day?",
     "{drug} max dose a day", "What's the most {drug} I can safely take in 24 hours?"),
    ("Can I take {drug} if I have {illness}?", "Is {drug} safe for people with {illness}?",
     "I suffer from {illness}; am I allowed to take {drug}?"),
    ("What are the symptoms of {illness}?", "How do I know whether I have {illness}?",
     "{illness} symptoms", "Which signs point to {illness}?"),
    ("What is the treatment for {illness}?", "How is {illness} treated?", "{illness} therapy"),
    ("How much does {job} earn in {country}?", "What is the salary of a {job} in {country}?",
     "{country} {job} salary", "What do people working as {job} make in {country}?"),
    ("How do I become a {job}?", "What does it take to become a {job}?", "steps to become a {job}"),
    ("How do I cancel {thing}?", "I no longer want {thing}, how do I cancel it?",
     "What is the procedure for cancelling {thing}?"),
    ("How do I change {thing}?", "Where can I edit {thing}?", "I want to modify {thing}, how?"),
    ("How do I create {thing}?", "What are the steps to set up {thing}?", "set up {thing}"),
    ("Explain {concept} to {level}.", "How would you explain {concept} to {level}?",
     "Give an explanation of {concept} that suits {level}."),
    ("What is {concept}?", "Can you explain what {concept} is?", "define {concept}",
     "I keep hearing about {concept}, what does it mean?", "What does {concept} mean?"),
    ("Explain {concept} {brief}.", "Describe {concept} {brief}.",
     "Can you explain {concept} {brief}?"),
    ("What is the difference between {concept} and {concept2}?", "How does {concept} differ from"
     " {concept2}?", "What is the difference between {concept2} and {concept}?",
     "{concept} versus {concept2}: where do they differ?"),
    ("Write {form} about {topic}.", "Compose {form} on the subject of {topic}.",
     "Can you write {form} about {topic} for me?"),
    ("What is {n} percent of {n2}?", "Calculate {n}% of {n2}.", "{n} percent of {n2}"),
    ("Convert {n} km to miles.", "How many miles are {n} km?", "{n} km in miles"),
    ("Convert {n} pounds to kilograms.", "How many kilograms are {n} pounds?", "{n} pounds in kg"),
    ("Convert {n} kilograms to pounds.", "How many pounds are {n} kilograms?"),
    ("What is {n} Celsius in Fahrenheit?", "{n} degrees C to F", "Convert {n} degrees Celsius to"
     " Fahrenheit."),
    ("What is {n} Fahrenheit in Celsius?", "{n} degrees F to C"),
    ("Translate this text from {tongue} to {tongue2}.", "Please turn this {tongue} text into"
     " {tongue2}."),
    ("How do I say good morning in {tongue}?", "What is good morning in {tongue}?",
     "good morning in {tongue}"),
    ("Should I switch from {framework} to {framework2}?", "Is it worth moving from {framework} to"
     " {framework2}?", "I use {framework}, would you recommend changing to {framework2}?"),
    ("How do I migrate from {db} to {db2}?", "What is the way to move my data from {db} to {db2}?",
     "migrate {db} to {db2}"),
    ("Is {lang} faster than {lang2}?", "Does {lang} run faster than {lang2}?",
     "Compared with {lang2}, is {lang} faster?"),
    ("Who won the World Cup in {year}?", "Which team was the World Cup winner of {year}?",
     "world cup {year} winner"),
    ("What was the inflation rate in {country} in {year}?", "How high was inflation in {country} in"
     " {year}?", "{country} inflation {year}"),
    ("Who is the author of {work}?", "Who wrote {work}?", "author of {work}",
     "By whom was {work} written?"),
    ("When was {work} written?", "In which year was {work} published?", "{work} publication date"),
    ("Is the shop open on {day}?", "Do you open on {day}?", "{day} opening hours"),
    ("What do I do if {site} does not load in {browser}?", "{site} is not loading in {browser}, how"
     " do I fix that?", "{browser} cannot open {site}"),
    ("Which foods should I eat when I have {illness}?", "What should I eat with {illness}?",
     "{illness} diet what to eat"),
    ("Which foods should I avoid when I have {illness}?", "What should I not eat with {illness}?",
     "{illness} what foods to avoid"),
    ("How do I delete my {site} account?", "What is the way to close my {site} account for good?",
     "delete {site} account", "I want to get rid of my {site} account"),
    ("How do I recover my {site} account?", "I lost access to my {site} account, how do I get it"
     " back?", "recover {site} account"),
    ("Give me a {n} day itinerary for {city}.", "Plan a trip of {n} days to {city}.",
     "What can I do in {city} in {n} days?"),
    ("What are the new features of {lang} {n}?", "What is new in {lang} {n}?",
     "{lang} {n} release highlights"),
    ("What breaks when I upgrade {framework} from {n} to {n2}?", "Upgrading {framework} {n} to"
     " {n2}, what are the breaking changes?"),
)  # fmt: skip


class Templates:
    """Pairs from the families of one part."""

    def __init__(self, rng: random.Random, *, held_out: bool) -> None:
        self._rng = rng
        self._families = [
            family for family in _FAMILIES if (zlib.crc32(family[0].encode()) % 4 == 0) is held_out
        ]

    def questions(self, count: int) -> Iterator[str]:
        """Single questions, a random form of a random family."""
        for _ in range(count):
            family = self._rng.choice(self._families)
            yield self._rng.choice(family).format(**self._fill(family))

    def pairs(self, count: int) -> Iterator[Pair]:
        """Paraphrases and traps, about as many of each."""
        for _ in range(count):
            family = self._rng.choice(self._families)
            filled = self._fill(family)
            one, other = self._rng.choice(family), self._rng.choice(family)
            if self._rng.random() < 0.45:
                if one != other:
                    yield self._pair(one, filled, other, filled, True, "template")
                continue
            changed, kind = self._changed(family, filled)
            if self._rng.random() < 0.5:
                other = one
            if one.format(**filled) != other.format(**changed):
                yield self._pair(one, filled, other, changed, False, f"template {kind}")
        yield from self._between_families(count // 6)

    def _between_families(self, count: int) -> Iterator[Pair]:
        """The same things in another question: symptoms and treatment, enable and disable."""
        for _ in range(count):
            family, second = self._rng.sample(self._families, 2)
            shared = set(_fields(family)) & set(_fields(second))
            if not shared:
                continue
            filled = self._fill(family)
            other = {**self._fill(second), **{name: filled[name] for name in shared}}
            one, two = self._rng.choice(family), self._rng.choice(second)
            yield self._pair(one, filled, two, other, False, "template question")

    @staticmethod
    def _pair(
        one: str, a: Mapping[str, str], two: str, b: Mapping[str, str], same: bool, category: str
    ) -> Pair:
        return Pair(one.format(**a), two.format(**b), same, category)

    def _fill(self, family: tuple[str, ...]) -> dict[str, str]:
        filled: dict[str, str] = {}
        for name in _fields(family):
            options = [value for value in _SLOTS[name.rstrip("2")] if value not in filled.values()]
            filled[name] = self._rng.choice(options)
        return filled

    def _changed(
        self, family: tuple[str, ...], filled: dict[str, str]
    ) -> tuple[dict[str, str], str]:
        """One slot changed, or two slots of a kind exchanged."""
        names = [name for name in _fields(family) if name not in ("on", "off")]
        pairs = [name for name in names if f"{name}2" in names]
        if pairs and "concept" not in pairs and self._rng.random() < 0.5:
            name = pairs[0]
            return {**filled, name: filled[f"{name}2"], f"{name}2": filled[name]}, "direction"
        name = self._rng.choice(names)
        options = [value for value in _SLOTS[name.rstrip("2")] if value not in filled.values()]
        return {**filled, name: self._rng.choice(options)}, _KINDS.get(name.rstrip("2"), "entity")


_KINDS = {"n": "number", "year": "time", "day": "time", "when": "time", "form": "scope",
          "brief": "scope", "level": "scope", "part": "content", "task": "content",
          "thing": "content", "setting": "content", "concept": "content"}  # fmt: skip


def _fields(family: tuple[str, ...]) -> list[str]:
    found = {name for form in family for _, name, _, _ in Formatter().parse(form) if name}
    return sorted(found)
