"""Vocabularies. An entry with bars is "text|what an answer must hold|or this"."""

from __future__ import annotations

from benchmarks.cag.corpus.drawing import composed, date, person

MONTHS = tuple(
    "January February March April May June July August September October November December".split()
)
DAYS = tuple("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())
FIRST = tuple(
    "Ada Amir Anouk Basil Bettina Bruno Carla Cosima Dario Dunja Edgar Elif Emeka Farida Felix "
    "Greta Hamid Hedda Idris Ilka Ines Jonas Kaito Kerstin Lars Leila Lorenz Maren Mateo Milena "
    "Nadir Nele Olga Oskar Paola Petra Quentin Rafael Renate Rosa Samir Selma Silas Tamara Tilda "
    "Tomas Ulrich Vera Viktor Wanda Xenia Yara Yusuf Zeno".split()
)
PERSON = person(
    FIRST,
    (
        tuple(
            "bar bel bran cor dal den dor eck fal fen gar gol hal har hol kal kem lan lem".split()
        )
        + tuple("mar mel nor ost pal per rad ros sal sen tal tor ulm van ver wal wen zan".split()),
        tuple("a e i o u en er".split()),
        tuple(
            "berg dahl field gren holm kowski land lund man mark nova rico rossi son ster".split()
        )
        + tuple("strand tano tti vang vic wald wick worth zano".split()),
    ),
)
TOWN = composed(
    tuple(
        "Alder Amber Ash Birch Brack Bright Cald Copper Crow Dun East Elder Fern Fox Glen".split()
    )
    + tuple("Hazel Heath Iron Kings Lark Lin Maple Mill North Oak Otter Pine Raven Red".split())
    + tuple("Salt Silver South Stone Swan Thorn Wend West White Wolf".split()),
    tuple(
        "bridge brook bury by combe dale field ford gate ham haven hurst ley mere minster".split()
    )
    + tuple("mouth port stead ton vale well wick wood worth".split()),
)
BRAND = composed(
    tuple("Aero Alto Brio Cal Dexa Eno Fero Gala Halo Ixo Juno Kilo Lumo Mira Nova Orbi".split())
    + tuple("Pico Quanta Rivo Solo Tera Ultra Vela Wavo Xeno Zeta".split()),
    tuple("cast dyne flex form grid jet lite loop max mend nest pulse ray sense tek vac".split()),
)
DATE = date(MONTHS)

FACILITIES = tuple(
    "pumping station|sawmill|bakery|swimming pool|data centre|dairy|brewery|railway depot|"
    "glassworks|laundry|cold store|printing house|water tower|ferry terminal".split("|")
)
FAULTS = (
    "stopped without a warning|stopped",
    "filled the hall with smoke|smoke",
    "lost oil at the rear|oil",
    "gave an electric shock|shock",
    "showed a wrong reading|reading",
    "flooded the cellar|flood|flooded|cellar",
    "made a grinding noise|noise|grinding",
    "would not switch off|switch",
)
MACHINES = tuple(
    "main pump|conveyor belt|goods lift|steam boiler|packing robot|air compressor|water heater|"
    "roller gate|mixing drum|emergency generator|ventilation fan|loading crane".split("|")
)
CAUSES = (
    "a worn bearing|bearing",
    "a loose cable in the control box|cable",
    "a mouse nest in the motor|mouse|nest",
    "a clogged filter|filter",
    "a faulty update of the software|software|update",
    "a cracked valve|valve",
    "frost in the pipes|frost",
    "a forgotten spanner|spanner",
    "salt water in a plug|salt",
    "a power cut during the night|power",
)
ROLES = (
    "head of purchasing|purchasing",
    "night nurse|nurse",
    "tram driver|tram",
    "tax adviser|tax",
    "bridge engineer|bridge",
    "choir leader|choir",
    "laboratory assistant|laboratory",
    "chief gardener|gardener",
    "court interpreter|interpreter",
    "school librarian|librarian",
    "harbour pilot|pilot",
    "pastry chef|pastry",
)
HOBBIES = (
    "keeping bees|bees",
    "repairing clocks|clocks",
    "rowing",
    "collecting stamps|stamps",
    "playing the cello|cello",
    "growing orchids|orchids",
    "climbing",
    "baking bread|bread|baking",
    "restoring old radios|radios",
    "fencing",
)
LANGUAGES = tuple(
    "Finnish Portuguese Turkish Korean Greek Polish Arabic Hungarian Swahili Icelandic".split()
)
GADGETS = tuple(
    "bicycle lamp|hand blender|travel speaker|desk fan|garden drill|baby monitor|label printer|"
    "air purifier|electric kettle|camping stove|rain gauge|pocket projector".split("|")
)
COLOURS = tuple("blue|green|orange|grey|yellow|purple|brown|turquoise|crimson|ivory".split("|"))
MATERIALS = tuple("aluminium|bamboo|cork|stainless steel|glass|ceramic|nylon|titanium".split("|"))
MAIN_INGREDIENTS = tuple(
    "lentils|pumpkin|chestnuts|salmon|leeks|barley|mushrooms|chickpeas|beetroot|apricots|"
    "spinach|parsnips".split("|")
)
SPICES = tuple("cumin|saffron|nutmeg|ginger|thyme|paprika|cardamom|sage|cloves|mint".split("|"))
DISHES = tuple("casserole|soup|tart|stew|dumplings|gratin|salad|pie|pudding|pancakes".split("|"))
GOODS = (
    "an oak table|table",
    "a pair of walking boots|boots",
    "a red sofa|sofa",
    "a set of copper pans|pans",
    "a child's raincoat|raincoat",
    "a wall clock|clock",
    "a folding bicycle|bicycle",
    "a wool carpet|carpet",
    "a telescope|telescope",
    "a leather suitcase|suitcase",
)
DAMAGES = (
    "one leg was broken|leg",
    "the zip was torn|zip",
    "it smelled of petrol|petrol",
    "two screws were missing|screws",
    "it was the wrong colour|colour",
    "the glass had a crack|crack|glass",
    "it was wet from rain|wet|rain",
    "the handle came off|handle",
)
REMEDIES = (
    "a full refund|refund",
    "a replacement|replacement",
    "a discount on the next order|discount",
    "a visit by a technician|technician",
    "a written apology|apology",
)
SPECIES = tuple(
    "blind shrimp|glass squid|grey seals|snow petrels|sea cucumbers|lantern fish|arctic terns|"
    "hermit crabs|narwhals|moon jellyfish".split("|")
)
DELAYS = (
    "a storm|storm",
    "a broken rudder|rudder",
    "thick ice|ice",
    "a sick cook|cook",
    "a lost anchor|anchor",
    "a strike in the harbour|strike",
    "fog|fog",
    "an engine fire|fire",
)
TREASURES = tuple(
    "bronze mirror|silver flute|painted globe|mammoth tooth|glass harp|ivory chess set|"
    "steam tricycle|astronomical clock|velvet throne|clay tablet".split("|")
)
INVENTIONS = tuple(
    "folding umbrella|spring lock|milk separator|paper cutter|tide calculator|silent typewriter|"
    "rotary plough|safety lantern|steam whistle|pocket barometer".split("|")
)
SUBJECTS = tuple("geometry|botany|music|optics|medicine|astronomy|law|chemistry".split("|"))
COMMITTEES = tuple(
    "harbour committee|allotment society|school board|theatre club|cycling union|parish council|"
    "market association|library friends|tenants' council|rescue service".split("|")
)
DECISIONS = (
    "to repair the roof|roof",
    "to buy a second boat|boat",
    "to plant forty lime trees|lime|trees",
    "to close the car park|car park",
    "to hire a caretaker|caretaker",
    "to print a new map|map",
    "to sell the old piano|piano",
    "to build a ramp|ramp",
)
ABSENCES = (
    "a broken ankle|ankle",
    "a family wedding|wedding",
    "a delayed train|train",
    "an exam|exam",
    "influenza|influenza|flu",
    "jury duty|jury",
)
FESTIVALS = tuple(
    "lantern festival|kite fair|jazz week|cheese market|puppet festival|rowing regatta|"
    "poetry night|dragon boat race|flower parade|film week".split("|")
)
VENUES = tuple(
    "town hall|old gasworks|castle meadow|fish market|botanical garden|tram shed|river island|"
    "cathedral square|sports hall|lighthouse".split("|")
)
ACTS = tuple(
    "a brass band|a fire juggler|a women's choir|a string quartet|a shadow theatre|"
    "a tango orchestra|a stilt walker|a drum group".split("|")
)
BENEFITS = tuple(
    "parental leave|remote work|business travel|company bicycles|study leave|expense claims|"
    "overtime|visitor badges|lost keys|parking spaces".split("|")
)
OFFICES = tuple(
    "the personnel office|the works council|the reception desk|the payroll team|"
    "the travel desk|the security desk|the legal department".split("|")
)
EXCEPTIONS = tuple("trainees|night workers|managers|temporary staff|apprentices|drivers".split("|"))
LOST = tuple(
    "brass compass|green umbrella|violin bow|house key|wedding ring|silver thimble|"
    "train ticket|leather notebook|pocket watch|chess queen".split("|")
)
HIDING = tuple(
    "under the stairs|in the bread bin|behind the piano|in a flower pot|in the letter box|"
    "inside a teapot|on the garden wall|in a coat pocket|below the bridge".split("|")
)
ANIMALS = tuple("a magpie|a terrier|a goat|a grey cat|a parrot|a hedgehog|a pony".split("|"))
