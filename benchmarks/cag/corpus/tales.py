"""Texts that tell: voyages, inventors, stories."""

from __future__ import annotations

from benchmarks.cag.corpus import words
from benchmarks.cag.corpus.drawing import Fact, Kind, composed, number, one_of, year

VOYAGE = Kind(
    name="voyage",
    titles=("Log of the {ship}", "Voyage of the {ship}"),
    key="ship",
    slots={
        "ship": composed(
            ("Blue", "Brave", "Cold", "Golden", "Lonely", "Northern", "Quiet", "Swift", "Winter"),
            ("Albatross", "Comet", "Dolphin", "Heron", "Lantern", "Marten", "Pelican", "Walrus"),
            by=" ",
        ),
        "leader": words.PERSON,
        "harbour": words.TOWN,
        "date": words.DATE,
        "depth": number(180, 6900, 10),
        "animal": one_of(words.SPECIES),
        "delay": one_of(words.DELAYS),
        "crew": number(9, 64),
    },
    opening=(
        Fact(
            ("harbour",),
            ("The {ship} left {harbour} on {date}.", "On {date} the {ship} sailed from {harbour}."),
            ("From which harbour did the {ship} sail?", "Where did the {ship} leave from?"),
        ),
    ),
    facts=(
        Fact(
            ("leader",),
            ("{leader} led the voyage.", "The captain was {leader}."),
            ("Who led the voyage of the {ship}?", "Who was the captain of the {ship}?"),
        ),
        Fact(
            ("depth",),
            ("The probe went down to {depth} metres.", "A depth of {depth} metres was reached."),
            ("Which depth was reached by the {ship}?", "How deep did the probe of the {ship} go?"),
        ),
        Fact(
            ("animal",),
            ("The crew saw {animal}.", "To everybody's surprise there were {animal}."),
            ("Which animals did the {ship} meet?", "What did the crew of the {ship} see?"),
        ),
        Fact(
            ("delay",),
            ("The return was delayed by {delay}.", "Because of {delay} it came back late."),
            ("What delayed the {ship}?", "Why did the {ship} come back late?"),
        ),
        Fact(
            ("crew",),
            ("There were {crew} people on board.", "It carried a crew of {crew}."),
            ("How many people were on board of the {ship}?",),
        ),
    ),
)

INVENTOR = Kind(
    name="inventor",
    titles=("{name}", "The life of {name}", "{name}, a forgotten inventor"),
    key="name",
    slots={
        "name": words.PERSON,
        "born": year(1740, 1870),
        "town": words.TOWN,
        "invention": one_of(words.INVENTIONS),
        "subject": one_of(words.SUBJECTS),
        "teacher": words.PERSON,
        "children": number(3, 13),
    },
    opening=(
        Fact(
            ("town",),
            ("{name} was born in {town} in {born}.", "In {born}, {name} was born in {town}."),
            ("In which town was {name} born?", "Where was {name} born?"),
        ),
    ),
    facts=(
        Fact(
            ("invention",),
            ("The world owes this mind the {invention}.", "The {invention} made the name known."),
            ("What did {name} invent?",),
        ),
        Fact(
            ("subject",),
            ("The student years were spent on {subject}.", "The field of study was {subject}."),
            ("What did {name} study?",),
        ),
        Fact(
            ("teacher",),
            ("{teacher} was the first teacher.", "Everything began with the teacher {teacher}."),
            ("Who taught {name}?", "Who was the teacher of {name}?"),
        ),
        Fact(
            ("children",),
            ("There were {children} children in the house.", "The family had {children} children."),
            ("How many children were in the family of {name}?",),
        ),
        Fact((), ("A street still bears the name.", "No portrait is known.")),
    ),
)

STORY = Kind(
    name="story",
    titles=("The {thing} of {name}", "A story about {name}"),
    key="name",
    slots={
        "name": words.PERSON,
        "thing": one_of(words.LOST),
        "place": one_of(words.HIDING),
        "animal": one_of(words.ANIMALS),
        "friend": words.PERSON,
        "days": number(3, 40),
        "town": words.TOWN,
    },
    opening=(
        Fact(
            ("thing",),
            ("In {town}, {name} had lost a {thing}.", "{name} of {town} could not find a {thing}."),
            ("What had {name} lost?",),
        ),
    ),
    facts=(
        Fact(
            ("place",),
            ("It lay {place} all the time.", "In the end it turned up {place}."),
            ("Where was the {thing} of {name} found?",),
        ),
        Fact(
            ("animal",),
            ("The thief was {animal}.", "It had been carried off by {animal}."),
            ("Who had taken the {thing} of {name}?",),
        ),
        Fact(
            ("friend",),
            ("{friend} helped with the search.", "A friend, {friend}, searched too."),
            ("Who helped {name} to search?",),
        ),
        Fact(
            ("days",),
            ("The search had lasted {days} days.", "That was after {days} days."),
            ("How many days did {name} search?",),
        ),
        Fact((), ("Everybody laughed about it later.", "Since then the doors are locked.")),
    ),
)

KINDS = (VOYAGE, INVENTOR, STORY)
