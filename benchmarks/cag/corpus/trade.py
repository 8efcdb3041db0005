"""Texts of buying and letting: leases, complaints, data sheets."""

from __future__ import annotations

from benchmarks.cag.corpus import words
from benchmarks.cag.corpus.drawing import Fact, Kind, composed, number, one_of

CONTRACT = Kind(
    name="contract",
    titles=("Lease of {house}", "{house}: summary of the lease"),
    key="house",
    slots={
        "house": lambda rng: composed(
            [words.TOWN(rng).text], ("House", "Lodge", "Court", "Yard", "Studios"), by=" "
        )(rng),
        "owner": words.PERSON,
        "tenant": words.PERSON,
        "rent": number(340, 4900, 10),
        "deposit": number(700, 9900, 100),
        "years": number(2, 25),
        "weeks": number(3, 26),
        "start": words.DATE,
    },
    opening=(
        Fact(
            ("tenant",),
            ("{owner} lets {house} to {tenant}.", "{tenant} rents {house} from {owner}."),
            ("Who rents {house}?", "Who is the tenant of {house}?"),
        ),
    ),
    facts=(
        Fact(
            ("rent",),
            ("The rent is {rent} euros a month.", "Each month {rent} euros are due as rent."),
            ("What is the monthly rent of {house}?",),
        ),
        Fact(
            ("deposit",),
            ("A deposit of {deposit} euros was paid.", "The deposit amounts to {deposit} euros."),
            ("How high is the deposit for {house}?",),
        ),
        Fact(
            ("years",),
            ("The lease runs for {years} years.", "It ends after {years} years."),
            ("For how many years is {house} let?",),
        ),
        Fact(
            ("weeks",),
            ("Notice must be given {weeks} weeks before.", "The notice is {weeks} weeks."),
            ("How many weeks of notice does the lease of {house} ask for?",),
        ),
        Fact(
            ("start",),
            ("It begins on {start}.", "The keys are handed over on {start}."),
            ("When does the lease of {house} begin?",),
        ),
    ),
)

COMPLAINT = Kind(
    name="complaint",
    titles=("Letter from {name}", "Complaint by {name}"),
    key="name",
    slots={
        "name": words.PERSON,
        "thing": one_of(words.GOODS),
        "damage": one_of(words.DAMAGES),
        "wish": one_of(words.REMEDIES),
        "days": number(3, 60),
        "price": number(35, 980),
        "clerk": words.PERSON,
    },
    opening=(
        Fact(
            ("thing",),
            ("{name} ordered {thing}.", "{name} had bought {thing} from us."),
            ("What did {name} order?", "What had {name} bought?"),
        ),
    ),
    facts=(
        Fact(
            ("damage",),
            ("When it arrived, {damage}.", "The letter says that {damage}."),
            ("What was wrong with the order of {name}?", "What does {name} complain about?"),
        ),
        Fact(
            ("wish",),
            ("What is asked for is {wish}.", "The customer wants {wish}."),
            ("What does {name} want from us?",),
        ),
        Fact(
            ("days",),
            ("The parcel had been on its way for {days} days.", "Delivery took {days} days."),
            ("How many days did the delivery to {name} take?",),
        ),
        Fact(
            ("price",),
            ("The price had been {price} euros.", "{price} euros had been paid."),
            ("How much did {name} pay?",),
        ),
        Fact(
            ("clerk",),
            ("{clerk} will answer the letter.", "The case was given to {clerk}."),
            ("Who handles the complaint of {name}?",),
        ),
    ),
)

PRODUCT = Kind(
    name="product",
    titles=("{product}", "Data sheet: {product}", "{product} at a glance"),
    key="product",
    slots={
        "product": lambda rng: composed([words.BRAND(rng).text], words.GADGETS, by=" ")(rng),
        "maker": words.TOWN,
        "weight": number(120, 4800, 10),
        "hours": number(3, 72),
        "price": number(19, 640),
        "colour": one_of(words.COLOURS),
        "material": one_of(words.MATERIALS),
        "years": number(2, 12),
    },
    opening=(
        Fact(
            ("maker",),
            ("The {product} is made in {maker}.", "From {maker} comes the {product}."),
            ("Where is the {product} made?",),
        ),
    ),
    facts=(
        Fact(
            ("weight",),
            ("It weighs {weight} grams.", "Its weight is {weight} grams."),
            ("How much does the {product} weigh?", "What is the weight of the {product}?"),
        ),
        Fact(
            ("hours",),
            ("One charge lasts {hours} hours.", "The battery runs for {hours} hours."),
            ("How long does the battery of the {product} last?",),
        ),
        Fact(
            ("price",),
            ("It sells for {price} euros.", "The price is {price} euros."),
            ("What does the {product} cost?", "What is the price of the {product}?"),
        ),
        Fact(
            ("colour",),
            ("The only colour is {colour}.", "It comes in {colour}."),
            ("Which colour does the {product} come in?", "What colour is the {product}?"),
        ),
        Fact(
            ("material",),
            ("The body is of {material}.", "Its case is made of {material}."),
            ("What is the case of the {product} made of?",),
        ),
        Fact(
            ("years",),
            ("The guarantee holds for {years} years.", "It has a guarantee of {years} years."),
            ("For how many years is the {product} guaranteed?",),
        ),
    ),
)

KINDS = (CONTRACT, COMPLAINT, PRODUCT)
