"""Texts that come out of work: reports of incidents, profiles, minutes, rules."""

from __future__ import annotations

from benchmarks.cag.corpus import words
from benchmarks.cag.corpus.drawing import Fact, Kind, composed, number, one_of, year

INCIDENT = Kind(
    name="incident",
    titles=("Incident at the {site}", "{site}: report of an incident"),
    key="site",
    slots={
        "site": lambda rng: composed([words.TOWN(rng).text], words.FACILITIES, by=" ")(rng),
        "machine": one_of(words.MACHINES),
        "fault": one_of(words.FAULTS),
        "cause": one_of(words.CAUSES),
        "reporter": words.PERSON,
        "date": words.DATE,
        "hours": number(2, 60),
        "cost": number(120, 9800, 10),
    },
    opening=(
        Fact(
            ("fault",),
            (
                "On {date} the {machine} of the {site} {fault}.",
                "The {machine} at the {site} {fault} on {date}.",
            ),
            ("What did the {machine} of the {site} do?", "What happened at the {site}?"),
        ),
    ),
    facts=(
        Fact(
            ("cause",),
            ("The cause was {cause}.", "The inspection found {cause}.", "It came from {cause}."),
            ("What was the cause of the incident at the {site}?", "What caused it at the {site}?"),
        ),
        Fact(
            ("reporter",),
            ("{reporter} reported it.", "It was noticed first by {reporter}."),
            ("Who reported the incident at the {site}?",),
        ),
        Fact(
            ("hours",),
            ("The repair took {hours} hours.", "It ran again after {hours} hours."),
            ("How many hours did the repair at the {site} take?",),
        ),
        Fact(
            ("cost",),
            ("The damage came to {cost} euros.", "Parts and labour cost {cost} euros."),
            ("What did the incident at the {site} cost?",),
        ),
        Fact(
            (), ("Nobody was hurt.", "Two visitors were sent home.", "The police were not called.")
        ),
    ),
)

PROFILE = Kind(
    name="profile",
    titles=("{name}", "Staff profile: {name}", "Who is {name}?"),
    key="name",
    slots={
        "name": words.PERSON,
        "role": one_of(words.ROLES),
        "town": words.TOWN,
        "year": year(1994, 2023),
        "hobby": one_of(words.HOBBIES),
        "language": one_of(words.LANGUAGES),
        "extension": number(210, 989),
        "room": number(11, 98),
    },
    opening=(
        Fact(
            ("role",),
            ("{name} works as {role}.", "{name} is our {role}.", "Meet {name}, {role}."),
            ("What is the job of {name}?", "What does {name} work as?"),
        ),
    ),
    facts=(
        Fact(
            ("town",),
            ("The place of birth is {town}.", "Childhood and school were spent in {town}."),
            ("Where does {name} come from?", "Which town is {name} from?"),
        ),
        Fact(
            ("year",),
            ("The first day with us was in {year}.", "This career began in {year}."),
            ("In which year did {name} begin?",),
        ),
        Fact(
            ("hobby",),
            ("Evenings are for {hobby}.", "The great hobby is {hobby}."),
            ("What is the hobby of {name}?", "What does {name} like to do in the evening?"),
        ),
        Fact(
            ("language",),
            ("Visitors are amazed by fluent {language}.", "The second language is {language}."),
            ("Which foreign language does {name} speak?",),
        ),
        Fact(
            ("extension",),
            ("The telephone extension is {extension}.", "Call extension {extension}."),
            ("What is the telephone extension of {name}?",),
        ),
        Fact((), ("Lunch is always at noon.", "The door is open to everybody.")),
    ),
)

MINUTES = Kind(
    name="minutes",
    titles=("Minutes of the {group}", "Meeting of the {group}"),
    key="group",
    slots={
        "group": lambda rng: composed([words.TOWN(rng).text], words.COMMITTEES, by=" ")(rng),
        "chair": words.PERSON,
        "absent": words.PERSON,
        "why": one_of(words.ABSENCES),
        "decision": one_of(words.DECISIONS),
        "budget": number(1200, 48000, 100),
        "next": words.DATE,
        "votes": number(7, 39),
    },
    opening=(
        Fact(
            ("chair",),
            ("{chair} opened the meeting of the {group}.", "The {group} met under {chair}."),
            ("Who led the meeting of the {group}?", "Who chaired the {group}?"),
        ),
    ),
    facts=(
        Fact(
            ("decision",),
            ("It was decided {decision}.", "After a long debate the members agreed {decision}."),
            ("What did the {group} decide?",),
        ),
        Fact(
            ("why",),
            ("{absent} was absent because of {why}.", "Because of {why}, {absent} did not come."),
            ("Why was {absent} absent from the {group}?",),
        ),
        Fact(
            ("budget",),
            ("The budget is {budget} euros.", "The treasurer reported {budget} euros in the fund."),
            ("How many euros does the {group} have?", "How large is the budget of the {group}?"),
        ),
        Fact(
            ("next",),
            ("The next meeting is on {next}.", "All will meet again on {next}."),
            ("When does the {group} meet next?",),
        ),
        Fact(
            ("votes",),
            ("There were {votes} votes in favour.", "{votes} members voted for it."),
            ("How many votes in favour did the {group} count?",),
        ),
    ),
)

RULES = Kind(
    name="rules",
    titles=("{firm}: rules on {topic}", "Rules of {firm}: {topic}"),
    key="firm",
    slots={
        "firm": lambda rng: composed(
            [words.TOWN(rng).text], ("Bank", "Mills", "Logistics", "Clinic", "Textiles"), by=" "
        )(rng),
        "topic": one_of(words.BENEFITS),
        "days": number(3, 45),
        "office": one_of(words.OFFICES),
        "limit": number(50, 950, 10),
        "not_for": one_of(words.EXCEPTIONS),
        "form": composed(tuple("ABCDEFGHKLMNPRST"), tuple(str(n) for n in range(11, 99)), by="-"),
    },
    opening=(
        Fact(
            ("topic",),
            ("This page of {firm} is about {topic}.", "At {firm}, {topic} follow these rules."),
            ("What are the rules of {firm} about?",),
        ),
    ),
    facts=(
        Fact(
            ("days",),
            ("Ask {days} days ahead.", "A request must arrive {days} days before."),
            ("How many days ahead must one ask at {firm}?",),
        ),
        Fact(
            ("office",),
            ("Requests go to {office}.", "Write to {office}."),
            ("Who receives the requests at {firm}?", "Where do requests go at {firm}?"),
        ),
        Fact(
            ("limit",),
            ("At most {limit} euros are paid.", "The limit is {limit} euros a year."),
            ("Up to how many euros does {firm} pay?",),
        ),
        Fact(
            ("not_for",),
            ("The rules do not hold for {not_for}.", "They hold for everybody except {not_for}."),
            ("For whom do the rules of {firm} not hold?",),
        ),
        Fact(
            ("form",),
            ("Use form {form}.", "The form to fill in is {form}."),
            ("Which form does {firm} want?", "Which form is used at {firm}?"),
        ),
    ),
)

KINDS = (INCIDENT, PROFILE, MINUTES, RULES)
