"""Names that are often written without a capital, each with the class it competes in.

Two names of one class never share an answer: Python and Ruby, Japan and Vietnam. The list is short
on purpose; a capitalised word is a name without it.
"""

from __future__ import annotations

from collections.abc import Mapping

_CLASSES: Mapping[str, str] = {
    "language": (
        "python java javascript typescript ruby rust golang kotlin swift perl php scala haskell "
        "erlang elixir "
        "matlab fortran cobol lua dart julia clojure bash powershell"
    ),
    "framework": (
        "react angular vue svelte django flask rails laravel symfony spring nextjs nuxt fastapi "
        "pytorch tensorflow "
        "keras bootstrap tailwind jquery redux zustand pandas numpy hadoop spark"
    ),
    "database": (
        "postgres mysql sqlite mongodb redis cassandra oracle mariadb dynamodb elasticsearch"
    ),
    "platform": (
        "aws azure gcp heroku kubernetes docker podman jenkins terraform ansible nginx apache"
    ),
    "system": "windows linux macos ubuntu debian fedora android ios centos",
    "browser": "chrome firefox safari opera edge",
    "site": (
        "google facebook instagram twitter youtube whatsapp snapchat tinder quora reddit linkedin "
        "pinterest tumblr "
        "github gitlab bitbucket amazon ebay flipkart paypal netflix spotify gmail yahoo hotmail "
        "outlook telegram "
        "discord slack skype wechat airbnb uber lyft"
    ),
    "company": (
        "apple microsoft samsung nokia sony tesla toyota honda ford bmw audi intel nvidia amd tcs "
        "infosys wipro "
        "accenture deloitte walmart starbucks"
    ),
    "device": "iphone ipad macbook kindle playstation xbox nintendo",
    "country": (
        "india china japan germany france italy spain portugal brazil canada mexico australia "
        "austria russia ukraine "
        "poland turkey egypt kenya nigeria pakistan bangladesh nepal vietnam thailand indonesia "
        "malaysia singapore "
        "philippines korea israel iran iraq syria sweden norway denmark finland netherlands "
        "belgium switzerland "
        "ireland scotland greece argentina chile peru colombia cuba usa britain england uk "
        "afghanistan"
    ),
    "city": (
        "london paris berlin tokyo delhi mumbai bangalore chennai hyderabad kolkata pune beijing "
        "shanghai sydney "
        "melbourne toronto vancouver chicago boston seattle dallas houston miami madrid barcelona "
        "rome milan moscow "
        "dubai istanbul lisbon vienna amsterdam dublin"
    ),
    "tongue": (
        "english spanish french german italian chinese mandarin hindi arabic russian portuguese "
        "korean japanese "
        "latin greek dutch swedish turkish tamil telugu urdu bengali punjabi"
    ),
    "faith": "islam hinduism buddhism christianity judaism sikhism",
    "planet": "mercury venus mars jupiter saturn uranus neptune pluto",
    "animal": (
        "dog cat horse cow pig sheep goat rabbit hamster snake shark whale elephant tiger "
        "lion wolf bear"
    ),
    "meat": "chicken beef pork lamb turkey salmon tuna shrimp duck",
    "colour": "red blue green yellow black white purple pink brown gray",
}

CLASS_OF: Mapping[str, str] = {
    name: kind for kind, names in reversed(list(_CLASSES.items())) for name in names.split()
}

COMMON = frozenset("animal meat colour".split())
"""Classes of common nouns: never names, but told from each other."""

ALIASES: Mapping[str, str] = {
    "postgresql": "postgres", "psql": "postgres", "js": "javascript", "ts": "typescript",
    "k8s": "kubernetes", "py": "python", "osx": "macos", "usa": "us", "america": "us",
    "american": "us", "americans": "us", "indian": "india", "indians": "india",
    "british": "uk", "britain": "uk", "canadian": "canada", "australian": "australia",
    "mexican": "mexico", "pakistani": "pakistan", "mongo": "mongodb", "fb": "facebook",
    "insta": "instagram", "bengaluru": "bangalore",
}  # fmt: skip
"""Other spellings, and people of a place, under the name itself."""

RELATED: Mapping[str, str] = {
    "chinese": "china", "japanese": "japan", "german": "germany", "french": "france",
    "russian": "russia", "korean": "korea", "italian": "italy", "spanish": "spain",
    "swedish": "sweden", "turkish": "turkey", "dutch": "netherlands", "greek": "greece",
    "portuguese": "portugal", "english": "england", "muslim": "islam", "hindu": "hinduism",
    "christian": "christianity", "buddhist": "buddhism", "jewish": "judaism",
}  # fmt: skip
"""Words of two classes: a tongue or people, and its land or faith: no contrast."""

NEVER = frozenset(
    "i a the what who whom whose when where why which how is are was were do does did can could "
    "will would "
    "should shall may might must have has had in on at if as an and or but not no yes please my "
    "your our "
    "his her their its it they we you he she this that these those there some any all for from to "
    "with "
    "give tell explain write show list find make convert translate compare describe summarize "
    "calculate "
    "hi hello hey ok thanks thank monday tuesday wednesday thursday friday saturday sunday "
    "january february "
    "march april june july august september october november december mr mrs dr ms am pm tv pc ok "
    "faq id "
    "i'm i've i'd i'll what's who's how's where's it's that's don't doesn't didn't can't isn't "
    "aren't "
    "won't there's let's im ive whats".split()
)
"""Words whose capital letter says nothing."""
