"""Units of measure and number words: what makes 400 mcg another dose than 400 mg.

A unit is (dimension, factor, offset): base value = number * factor + offset. Factors within a
dimension are the exact ones of the SI brochure and of NIST SP 811; decimal kilobytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import semcache.lexical.chinese as chinese


class Unit(NamedTuple):
    """`number * factor + offset` is the amount in the dimension's base unit."""

    dimension: str
    factor: float
    offset: float = 0.0


_TABLE = """
mass 1e-6 mcg ug μg microgram micrograms
mass 1e-3 mg milligram milligrams
mass 1 g gram grams gm gms
mass 500 jin
mass 1e3 kg kgs kilo kilos kilogram kilograms
mass 1e6 tonne tonnes
mass 28.349523125 oz ounce ounces
mass 453.59237 lb lbs pound pounds
mass 6350.29318 stone stones
volume 1e-3 ml millilitre millilitres milliliter milliliters cc
volume 1e-2 cl centilitre
volume 1 l litre litres liter liters
volume 3.785411784 gal gallon gallons
volume .473176473 pint pints
volume .2365882365 cup cups
volume .01478676478125 tbsp tablespoon tablespoons
volume .00492892159375 tsp teaspoon teaspoons
length 1e-3 mm millimetre millimetres millimeter millimeters
length 1e-2 cm cms centimetre centimetres centimeter centimeters
length 1 m metre metres meter meters
length 1e3 km kms kilometre kilometres kilometer kilometers
length .0254 inch inches
length .3048 ft foot feet
length .9144 yd yard yards
length 1609.344 mi mile miles
speed 1 m/s
speed .2777777777777778 km/h kph kmh kmph
speed .44704 mph
speed .5144444444444445 knot knots
area 1 m2 sqm
area 4046.8564224 acre acres
area 1e4 hectare hectares
cubic 1 m3
time 1e-3 ms millisecond milliseconds
time 1 s sec secs second seconds
time 60 min mins minute minutes
time 3600 h hr hrs hour hours
time 86400 day days
time 604800 week weeks wk
months 1 month months
months 12 year years yr yrs
age 1 age
data 1 b byte bytes
data 1e3 kb kilobyte kilobytes
data 1e6 mb megabyte megabytes
data 1e9 gb gigabyte gigabytes gig gigs
data 1e12 tb terabyte terabytes
data 1.024e3 kib
data 1.048576e6 mib
data 1.073741824e9 gib
data .125 bit bits
rate 1e3 kbps
rate 1e6 mbps
rate 1e9 gbps
rate 8e3 kb/s
rate 8e6 mb/s
rate 8e9 gb/s
power 1 w watt watts
power 1e3 kw kilowatt kilowatts
power 745.6998715822702 hp horsepower
energy 1 j joule joules
energy 4.184 cal
energy 4184 kcal kcals calorie calories
energy 3.6e6 kwh
voltage 1 v volt volts
voltage 1e3 kv
current 1e-3 ma
current 1 amp amps ampere amperes
charge 1e-3 mah
frequency 1 hz hertz
frequency 1e3 khz
frequency 1e6 mhz
frequency 1e9 ghz
pressure 1 pa pascal pascals
pressure 1e3 kpa
pressure 1e5 bar
pressure 6894.757293168 psi
pressure 133.322387415 mmhg
percent 1 % percent pct
pixels 1 px pixel pixels
usd 1 $ usd dollar dollars bucks
eur 1 € eur euro euros
gbp 1 £ gbp quid
jpy 1 ¥ jpy yen
cny 1 cny rmb yuan
inr 1 ₹ inr rs rupee rupees
chf 1 chf
cad 1 cad
aud 1 aud
hkd 1 hkd
krw 1 krw won
rub 1 rub
btc 1 btc bitcoin
"""

UNITS: Mapping[str, Unit] = {
    name: Unit(dimension, float(factor))
    for dimension, factor, *names in map(str.split, filter(None, _TABLE.splitlines()))
    for name in names
} | {
    **dict.fromkeys(("k", "kelvin"), Unit("temperature", 1.0)),
    **dict.fromkeys(("c", "°c", "celsius", "centigrade"), Unit("temperature", 1.0, 273.15)),
    **dict.fromkeys(("f", "°f", "fahrenheit"), Unit("temperature", 5 / 9, 459.67 * 5 / 9)),
    **dict.fromkeys(("deg", "degree", "degrees", "°"), Unit("degree", 1.0)),
}

CURRENCIES = frozenset("usd eur gbp jpy cny inr chf cad aud hkd krw rub btc".split())
SYMBOLS = frozenset("$€£¥₹")

AFTER_NUMBERS_ONLY = frozenset(
    "a b c f g h j k l m s v w cc ft in ma mi ms pa rs age bar bit cal day min rub sec won "
    "days quid point pound degree second stones degrees seconds".split()
)
"""Units that are common words, or too short to be one, unless a number stands before them."""

ZONES = frozenset("utc gmt est edt cst cdt mst mdt pst pdt cet cest bst ist jst aest".split())

CHINESE_UNITS: Mapping[str, Unit] = {
    word: UNITS.get(unit, Unit(unit, 1.0)) for word, unit in chinese.UNITS.items()
}

ONES: Mapping[str, int] = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen "
        "sixteen seventeen eighteen nineteen".split()
    )
} | {word: 10 * at for at, word in enumerate(
    "twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2
)}  # fmt: skip
POWERS: Mapping[str, float] = {
    "hundred": 1e2, "thousand": 1e3, "k": 1e3, "million": 1e6, "mn": 1e6, "mio": 1e6,
    "billion": 1e9, "bn": 1e9, "trillion": 1e12, "lakh": 1e5, "lakhs": 1e5, "lac": 1e5, "lacs": 1e5,
    "crore": 1e7, "crores": 1e7, "dozen": 12.0, "hundreds": 1e2, "thousands": 1e3, "millions": 1e6,
}  # fmt: skip
ORDINALS: Mapping[str, int] = {
    word: value
    for value, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split(),
        start=1,
    )
}
