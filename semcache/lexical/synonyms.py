"""Words that say the same in a question: exchanging one for another changes nothing.

Only pairs that hold in nearly every sentence; what depends on the context is left to the verifier.
"""

from __future__ import annotations

from collections.abc import Mapping

from semcache.lexical.stems import stem

_GROUPS = """
need require necessary
symptom sign
afraid scare frighten fear
movie film
kind type sort variety
find determine
improve increase boost enhance raise
buy purchase
phone mobile cellphone smartphone
picture photo image pic photograph
fix repair mend
big large huge
tall high
begin start commence
end finish
quick fast rapid quickly
method approach technique
stop quit
prevent avoid
amazing incredible awesome
scary terrifying
strong stronger
company firm agency business
job work career employment
customer client
service care support
equipment tool gear
main salient major primary key principal
tackle address handle
happen occur
change modify alter edit
delete remove erase
show display
get obtain receive acquire
help assist aid
use utilize employ
keep retain
select choose pick
allow permit
answer reply response
question query
error mistake
problem issue trouble
correct right
wrong incorrect
child kid
infant baby
doctor physician
car automobile
house home
cheap inexpensive affordable
expensive costly
sick ill
smart intelligent clever
sad unhappy
angry mad
difficult hard tough
easy simple
difference distinction
example instance
reason cause
purpose aim goal
meaning definition
benefit advantage
disadvantage drawback downside
price cost
money cash
salary wage pay income
country nation
city town
trip travel journey
visit see
place location spot
area region
book reserve
meet encounter
build construct create develop make
teach instruct
learn study
exam test examination
university college
lesson class course
website site webpage
application app program
software program
computer pc
laptop notebook
folder directory
screen display
launch run execute
setup configure set
password passcode
account profile
login signin
email mail
download fetch
load fetch retrieve get
turn switch flip
convert transform turn
become get turn
defect fault malfunction
damaged broken
reset restore
verify confirm
send mail post
empty clear
combine merge join
cancel terminate
refund reimbursement
shipment delivery
ship deliver
package parcel
invoice bill
holiday vacation
flight plane
subway metro underground
luggage baggage
apartment flat
lift elevator
petrol gas gasoline
soccer football
fat obese overweight
attractive beautiful pretty
famous popular
important crucial essential
advisable recommended
approximately about roughly
entire whole
enough sufficient
usually normally typically
often frequently
calculate compute
estimate guess
identify recognize
explain describe
compare contrast
view watch see
look seem appear
series show
interesting fascinating
people human person
boy guy
girl lady
vomit puke
medicine drug medication
treat cure
treatment therapy
belly stomach tummy
"""


def _groups() -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for at, line in enumerate(filter(None, _GROUPS.splitlines())):
        for word in line.split():
            found.setdefault(stem(word), set()).add(at)
    return {word: frozenset(groups) for word, groups in found.items()}


GROUPS: Mapping[str, frozenset[int]] = _groups()
"""The groups that a stem belongs to."""
