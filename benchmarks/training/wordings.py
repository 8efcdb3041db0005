"""Words around a question, and words for each other, that the generator adds and exchanges."""

from __future__ import annotations

from benchmarks.training.words import lines_of

# Added to a question, each narrows what is asked.
QUALIFIERS = lines_of("""
for free
without a license
without losing data
without a credit card
without using a library
without root access
in India
in Germany
in winter
in Excel
in Python
in one sentence
in production
on a Mac
on Android
on Windows 11
on Heroku
on a Raspberry Pi
for beginners
for children
for a small company
for diabetics
for a team of ten
for non-citizens
for unauthenticated users
during pregnancy
during an outage
during a rolling upgrade
after surgery
after a failed attempt
before the deadline
at night
at high altitude
per user
per file
per month
with one hand
with replication enabled
with a broken screen
with a student visa
under GDPR
under heavy load
over a slow connection
using the command line
using an API key
from another country
if I am unemployed
if the server is down
when it is raining
as a freelancer
at the packet level
to a five year old
step by step with proofs
in 2012
in the 19th century
behind a proxy
inside a container
for a wedding
while travelling
""")

# Added to a question, each leaves it as it was.
OPENINGS = lines_of("""
Please tell me:
Quick question:
Hi,
Hello!
Hey,
Good morning,
Sorry if this is basic,
I was wondering,
Just curious:
Can someone tell me,
Help me out here:
Serious question:
I have a question.
I am new to this.
For my homework:
For my exam tomorrow:
I have been thinking about this for a while.
A friend asked me this:
My boss wants to know:
I could not find this anywhere:
I keep hearing about this.
Out of curiosity,
Hope you are well.
I need help with something.
One thing I never understood:
""")
CLOSINGS = lines_of("""
Thanks!
Thank you.
Thanks a lot in advance.
Any help is appreciated.
Please help.
Please.
I would like to know.
Cheers
Many thanks!
Thx
Could you explain?
Any ideas?
""")

SYNONYMS = lines_of("""
buy|purchase
fix|repair
phone|mobile phone
start|begin
quit|give up
find|locate
get|obtain
make|create
big|large
quick|fast
movie|film
movies|films
job|position
earn|make
kids|children
ways|methods
way|method
company|firm
important|significant
stop|quit
help|assist
learn|study
smart|intelligent
difference|distinction
reason|cause
delete|remove
error|mistake
picture|photo
pictures|photos
doctor|physician
car|automobile
house|home
lose|drop
improve|get better at
choose|pick
needed|required
need|require
big|huge
allowed|permitted
show|display
change|modify
choose|select
begin|start
rich|wealthy
happen|occur
happens|occurs
purpose|aim
use|utilize
explain|describe
people|persons
cheap|inexpensive
website|site
examples|instances
type|kind
types|kinds
build|construct
answer|reply
cost|price
top|best
sick|ill
belly fat|abdominal fat
mobile|cell phone
laptop|notebook computer
maximum|max
minimum|min
acquire|obtain
allow|permit
allows|permits
allows|enables
alter|change
appear|show up
assistance|help
attempt|try
available|accessible
avoid|prevent
beginner|novice
beneficial|useful
brief|short
calculate|compute
call|phone
catch|capture
check|verify
clever|smart
collect|gather
combine|merge
complete|finish
completely|entirely
conceal|hide
connect|link
contains|includes
correct|right
correct|fix
costly|expensive
country|nation
currently|at the moment
customer|client
customers|clients
damaged|broken
damage|harm
dangerous|hazardous
decide|determine
decrease|reduce
default|standard
describe|outline
destination|place to go
determine|find out
dish|meal
display|screen
download|fetch
drug|medication
duration|length
earn|get paid
easily|without trouble
easy|simple
employee|worker
employees|staff
employed|used
end|finish
ensure|make sure
enough|sufficient
entire|whole
execute|run
expand|enlarge
fast|quickly
fee|charge
final|last
folder|directory
form|shape
free|at no cost
frequently|often
function|work
gather|collect
give|provide
gives|provides
goal|objective
grow|increase
guide|manual
handle|deal with
happy|glad
hard|difficult
identify|recognise
ill|unwell
immediately|right away
impact|effect
in order to|to
instead of|rather than
issue|problem
issues|problems
journey|trip
keep|retain
large|huge
lead to|cause
leave|depart
legal|lawful
list|enumerate
live|reside
location|place
main|primary
maintain|keep up
make|produce
manage|handle
many|numerous
meaning|sense
mobile phone|smartphone
modify|alter
money|cash
necessary|essential
necessary|required
obtain|receive
occur|take place
often|regularly
only|just
operate|run
option|choice
parcel|package
part|component
particular|specific
pay for|fund
permit|let
possible|feasible
prepare|get ready
prevent|stop
previously|earlier
process|procedure
procedure|steps
produce|create
protect|safeguard
provide|offer
provides|supplies
purchase|order
quickly|rapidly
receive|get
recommend|suggest
remain|stay
remove|take out
reply|respond
request|ask for
require|demand
requires|calls for
restore|bring back
result|outcome
retrieve|fetch
return|give back
select|pick
separate|split
set up|configure
ship|deliver
shop|store
show|demonstrate
shut down|turn off
signs|symptoms
similar|alike
since|because
specify|state
speed up|accelerate
stay|remain
store|keep
strategy|approach
substitute|replacement
suitable|appropriate
supports|offers
talk|speak
task|job
technique|method
tell|inform
terminate|end
test|try out
town|city
transfer|move
transform|convert
trustworthy|reliable
turn into|become
typical|usual
understand|comprehend
unable|not able
university|college
usually|normally
utilize|make use of
various|several
vehicle|car
view|see
wait|hold on
weak|feeble
whole|complete
work|function
write|compose
information|info
application|app
""")
