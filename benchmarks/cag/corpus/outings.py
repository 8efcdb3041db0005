"""Texts for guests: recipes, museums, festivals."""

from __future__ import annotations

from benchmarks.cag.corpus import words
from benchmarks.cag.corpus.drawing import Fact, Kind, composed, number, one_of, year

RECIPE = Kind(
    name="recipe",
    titles=("{dish}", "Recipe: {dish}", "How to make {dish}"),
    key="dish",
    slots={
        "dish": lambda rng: composed([words.TOWN(rng).text], words.DISHES, by=" ")(rng),
        "main": one_of(words.MAIN_INGREDIENTS),
        "spice": one_of(words.SPICES),
        "degrees": number(130, 240, 5),
        "minutes": number(12, 95),
        "guests": number(3, 14),
        "grams": number(150, 1900, 50),
    },
    opening=(
        Fact(
            ("main",),
            ("{dish} is made with {main}.", "For {dish}, take {grams} grams of {main}."),
            ("What is the main ingredient of {dish}?", "What is {dish} made with?"),
        ),
    ),
    facts=(
        Fact(
            ("spice",),
            ("It owes its taste to {spice}.", "Season with {spice} at the end."),
            ("Which spice belongs in {dish}?",),
        ),
        Fact(
            ("degrees",),
            ("Heat the oven to {degrees} degrees.", "It bakes at {degrees} degrees."),
            ("At how many degrees does {dish} bake?", "How hot is the oven for {dish}?"),
        ),
        Fact(
            ("minutes",),
            ("It is done after {minutes} minutes.", "Leave it to cook for {minutes} minutes."),
            ("How many minutes does {dish} take?", "How long must {dish} cook?"),
        ),
        Fact(
            ("guests",),
            ("This is enough for {guests} people.", "It serves {guests}."),
            ("How many people does {dish} serve?",),
        ),
        Fact((), ("Serve it hot.", "It is even better on the next day.", "Add salt with care.")),
    ),
)

MUSEUM = Kind(
    name="museum",
    titles=("{museum}", "A visit to the {museum}", "{museum}: guide"),
    key="museum",
    slots={
        "museum": lambda rng: composed(
            [words.TOWN(rng).text], ("Museum", "Gallery", "Collection", "Archive"), by=" "
        )(rng),
        "founder": words.PERSON,
        "year": year(1790, 1989),
        "closed": one_of(words.DAYS),
        "ticket": number(3, 28),
        "pieces": number(150, 9900, 10),
        "treasure": one_of(words.TREASURES),
    },
    opening=(
        Fact(
            ("founder",),
            ("The {museum} was founded by {founder}.", "{founder} founded the {museum}."),
            ("Who founded the {museum}?", "Who was the founder of the {museum}?"),
        ),
    ),
    facts=(
        Fact(
            ("year",),
            ("That was in {year}.", "The doors opened in {year}."),
            ("When did the {museum} open?", "In which year was the {museum} founded?"),
        ),
        Fact(
            ("closed",),
            ("It is closed on {closed}.", "There are no visits on {closed}."),
            ("On which day is the {museum} closed?",),
        ),
        Fact(
            ("ticket",),
            ("A ticket costs {ticket} euros.", "Visitors pay {ticket} euros."),
            ("What does a ticket for the {museum} cost?",),
        ),
        Fact(
            ("pieces",),
            ("It shows {pieces} pieces.", "There are {pieces} objects on show."),
            ("How many objects does the {museum} show?",),
        ),
        Fact(
            ("treasure",),
            ("Its most famous piece is a {treasure}.", "Most people come to see a {treasure}."),
            ("What is the most famous piece of the {museum}?",),
        ),
    ),
)

FESTIVAL = Kind(
    name="festival",
    titles=("The {event}", "{event}: what to know", "News of the {event}"),
    key="event",
    slots={
        "event": lambda rng: composed([words.TOWN(rng).text], words.FESTIVALS, by=" ")(rng),
        "date": words.DATE,
        "venue": one_of(words.VENUES),
        "act": one_of(words.ACTS),
        "price": number(4, 75),
        "moved": one_of(words.CAUSES),
        "guests": number(300, 9800, 50),
    },
    opening=(
        Fact(
            ("venue",),
            ("The {event} takes place at the {venue}.", "This year the {venue} hosts the {event}."),
            ("Where does the {event} take place?", "Which place hosts the {event}?"),
        ),
    ),
    facts=(
        Fact(
            ("date",),
            ("It starts on {date}.", "The first day is {date}."),
            ("When does the {event} start?",),
        ),
        Fact(
            ("act",),
            ("The evening ends with {act}.", "At the end there is {act}."),
            ("Who performs at the end of the {event}?",),
        ),
        Fact(
            ("price",),
            ("Admission is {price} euros.", "A seat costs {price} euros."),
            ("What does admission to the {event} cost?",),
        ),
        Fact(
            ("moved",),
            (
                "Last year it was called off because of {moved}.",
                "A year ago {moved} ended it early.",
            ),
            ("Why was last year's {event} a failure?", "What spoilt the {event} last year?"),
        ),
        Fact(
            ("guests",),
            ("Some {guests} guests are expected.", "There is room for {guests} guests."),
            ("How many guests does the {event} expect?",),
        ),
    ),
)

KINDS = (RECIPE, MUSEUM, FESTIVAL)
