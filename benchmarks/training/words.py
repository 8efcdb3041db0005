"""The words that the generator of training pairs exchanges, adds and leaves out. Written by hand.

Each list is parted by the checksum of its lines: most serve training, a quarter serves the held-out
part only, so that a held-out trap turns on a word that no training trap turned on.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

_HELD_OUT = 4


def part(lines: Sequence[str], *, held_out: bool) -> tuple[str, ...]:
    """The lines for training, or those for the held-out part."""
    chosen = [line for line in lines if (zlib.crc32(line.encode()) % _HELD_OUT == 0) is held_out]
    return tuple(chosen or lines)


def lines_of(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


# One against the other: exchanging them asks for another answer.
OPPOSITES = lines_of("""
increase|decrease
increase|reduce
enable|disable
open|close
start|stop
gain|lose
buy|sell
upload|download
install|uninstall
lock|unlock
hide|show
mute|unmute
import|export
encrypt|decrypt
compress|extract
advantages|disadvantages
benefits|drawbacks
pros|cons
best|worst
most|least
cheapest|most expensive
highest|lowest
largest|smallest
biggest|smallest
fastest|slowest
oldest|youngest
longest|shortest
hot|cold
old|new
rich|poor
easy|hard
good|bad
better|worse
safe|dangerous
clean|dirty
strong|weak
before|after
above|below
inside|outside
first|last
next|previous
left|right
north|south
east|west
male|female
men|women
boys|girls
husband|wife
mother|father
son|daughter
morning|evening
day|night
summer|winter
public|private
local|remote
internal|external
online|offline
manual|automatic
minimum|maximum
temporary|permanent
legal|illegal
possible|impossible
positive|negative
success|failure
love|hate
join|leave
add|remove
create|delete
send|receive
borrow|lend
teach|learn
win|lose
accept|reject
allow|prevent
include|exclude
push|pull
arrive|leave
introvert|extrovert
atheist|believer
vegetarian|meat eater
employer|employee
landlord|tenant
buyer|seller
teacher|student
doctor|patient
input|output
upgrade|downgrade
faster|slower
more|less
raise|lower
up|down
on|off
hire|fire
import|sell
freeze|thaw
float|sink
remember|forget
wet|dry
soft|hard
thick|thin
early|late
tall|short
fat|thin
""")

# Words of one kind: exchanging them asks about something else.
KINDS = tuple(
    tuple(line.split(", "))
    for line in lines_of("""
Python, Java, JavaScript, Ruby, Rust, Go, Kotlin, Swift, Perl, PHP, C++, C#, Scala, TypeScript, R
React, Angular, Vue, Svelte, Django, Flask, Rails, Laravel, Spring Boot, Next.js, FastAPI
PostgreSQL, MySQL, SQLite, MongoDB, Redis, Cassandra, Oracle, MariaDB, DynamoDB, Elasticsearch
AWS, Azure, GCP, Heroku, Vercel, Netlify, DigitalOcean
Docker, Podman, Kubernetes, Terraform, Ansible, Jenkins, Nginx, Apache
Windows, Linux, macOS, Ubuntu, Debian, Fedora, Android, iOS
Chrome, Firefox, Safari, Edge, Opera, Brave
Facebook, Instagram, Twitter, YouTube, WhatsApp, Snapchat, LinkedIn, Pinterest, Reddit, TikTok
Gmail, Outlook, Yahoo Mail, ProtonMail
Excel, Word, PowerPoint, Google Sheets, Google Docs, Notion
iPhone, iPad, MacBook, Kindle, PlayStation, Xbox, Galaxy
Apple, Microsoft, Google, Amazon, Samsung, Tesla, Intel, IBM, Infosys, Flipkart, Netflix, Uber
India, China, Japan, Germany, France, Italy, Spain, Brazil, Canada, Mexico, Australia, Austria
Russia, Poland, Turkey, Egypt, Kenya, Nigeria, Pakistan, Vietnam, Thailand, Sweden, Norway, Peru
USA, UK, New Zealand, South Africa, Singapore, Malaysia, Ireland, Greece, Denmark, Finland
London, Paris, Berlin, Tokyo, Delhi, Mumbai, Bangalore, New York, Chicago, Sydney, Toronto, Rome
Madrid, Lisbon, Vienna, Prague, Seoul, Dubai, Istanbul, Moscow, Boston, Seattle, Hyderabad, Pune
English, Spanish, French, German, Italian, Chinese, Hindi, Arabic, Russian, Portuguese, Korean
Einstein, Newton, Darwin, Tesla, Curie, Bohr, Galileo, Hawking, Feynman
Trump, Obama, Clinton, Modi, Putin, Merkel, Macron, Gandhi, Lincoln, Kennedy
Hinduism, Islam, Buddhism, Christianity, Judaism
chicken, beef, pork, salmon, turkey, tofu, shrimp, lamb
rice, pasta, bread, potatoes, eggs, oats, lentils
coffee, tea, milk, beer, wine, water, juice
dog, cat, horse, rabbit, hamster, parrot, cow
car, motorcycle, bicycle, truck, bus, train
ibuprofen, paracetamol, aspirin, amoxicillin, metformin, naproxen
diabetes, asthma, malaria, depression, anxiety, migraine, arthritis, cancer
physics, chemistry, biology, mathematics, history, economics, psychology, law
engineer, doctor, lawyer, teacher, nurse, pilot, accountant, dentist
gold, silver, copper, iron, platinum, aluminium
guitar, piano, violin, drums, flute
football, cricket, tennis, basketball, baseball, hockey
marriage, divorce, pregnancy, adoption
phone, laptop, tablet, printer, camera, router, TV
passport, driving license, visa, credit card, bank account, password
HTTP, HTTPS, TCP, UDP, FTP, SSH, DNS
list, dictionary, array, string, tuple, set
CSV, JSON, XML, YAML, PDF
numpy, pandas, matplotlib, requests, scikit-learn
npm, yarn, pip, conda, maven
OAuth, SAML, JWT, LDAP
index, trigger, view, procedure, constraint
savings account, checking account, mortgage, student loan, pension
VTI, VOO, QQQ, SPY
MBA, PhD, bachelor's degree, diploma
Mars, Venus, Jupiter, Saturn, Mercury
kidney, liver, heart, lung, stomach
vitamin C, vitamin D, vitamin B12, iron, zinc, magnesium
""")
)

UNITS = tuple(
    tuple(line.split(", "))
    for line in lines_of("""
km, miles, meters, feet, inches, cm, yards
kg, pounds, grams, ounces, stone, mg, mcg
liters, gallons, cups, ml, tablespoons
Celsius, Fahrenheit, Kelvin
seconds, minutes, hours, days, weeks, months, years
USD, EUR, GBP, INR, JPY, CAD, AUD
dollars, euros, rupees, pounds, yen
bytes, KB, MB, GB, TB
UTC, EST, PST, CET, IST
mph, km/h, knots
watts, kilowatts, horsepower
""")
)

TIMES = tuple(
    tuple(line.split(", "))
    for line in lines_of("""
today, tomorrow, yesterday
this week, last week, next week
this month, last month, next month
this year, last year, next year
Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday
January, February, March, April, June, July, August, September, October, November, December
spring, summer, autumn, winter
Christmas, Easter, Thanksgiving, Diwali
2010, 2012, 2014, 2015, 2016, 2017, 2018, 2019, 2020, 2021, 2022, 2023, 2024, 2025
""")
)
