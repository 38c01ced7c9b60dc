"""The words of the sentences. Data, and the few rules that spell inflected forms."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Noun:
    singular: str
    plural: str


@dataclass(frozen=True)
class Verb:
    base: str
    past: str
    participle: str
    object: str = ""
    """An object that fits, for verbs that do not take just any."""


def _s(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    return word[:-1] + "ies" if word.endswith("y") and word[-2] not in "aeiou" else word + "s"


def _ed(word: str) -> str:
    if word.endswith("e"):
        return word + "d"
    return word[:-1] + "ied" if word.endswith("y") and word[-2] not in "aeiou" else word + "ed"


def _nouns(words: str) -> tuple[Noun, ...]:
    """Nouns, each as `singular` or, where the plural is irregular, `singular/plural`."""
    pairs = (word.partition("/") for word in words.split())
    return tuple(Noun(singular, plural or _s(singular)) for singular, _, plural in pairs)


def _regular(words: str) -> tuple[Verb, ...]:
    return tuple(Verb(word, _ed(word), _ed(word)) for word in words.split())


def _irregular(lines: str) -> tuple[Verb, ...]:
    """One verb per line: base, past, participle, and an object that goes with it."""
    table = (line.split(maxsplit=3) for line in lines.strip().splitlines())
    return tuple(Verb(base, past, participle, thing) for base, past, participle, thing in table)


def _words(words: str) -> tuple[str, ...]:
    return tuple(words.split())


def _phrases(lines: str) -> tuple[str, ...]:
    """One phrase per line."""
    return tuple(line.strip() for line in lines.strip().splitlines())


PEOPLE = _nouns(
    "senator lawyer doctor teacher student artist driver farmer painter singer dancer writer baker banker clerk"
    " coach cook critic customer dentist director editor engineer expert gardener guard guest guide hunter janitor"
    " journalist judge juror librarian manager mayor mechanic merchant minister neighbor nurse officer partner"
    " passenger patient pilot plumber poet prisoner professor reporter runner sailor scientist secretary soldier"
    " surgeon surveyor tailor tenant tourist trainer visitor voter witness worker child/children thief/thieves spy"
)
MEN = _nouns(
    "man/men boy uncle brother king waiter actor grandfather nephew monk prince husband father son"
    " gentleman/gentlemen policeman/policemen businessman/businessmen groom widower bachelor wizard landlord steward"
    " duke"
)
WOMEN = _nouns(
    "woman/women girl aunt sister queen waitress actress grandmother niece nun princess wife/wives mother daughter"
    " lady policewoman/policewomen businesswoman/businesswomen bride widow hostess witch landlady stewardess duchess"
)
THINGS = _nouns(
    "table chair lamp mirror painting picture vase bottle box basket blanket book letter magazine map newspaper"
    " notebook parcel phone camera computer printer radio clock key ladder hammer bucket brush rope engine bicycle"
    " truck wagon boat cabinet closet drawer shelf/shelves curtain pillow carpet bowl plate kettle knife/knives fork"
    " spoon coat jacket hat sweater scarf/scarves ring necklace suitcase umbrella wallet guitar piano violin drum"
    " statue poster"
)
PEOPLE_VERBS = _regular(
    "admire accuse annoy approach avoid blame challenge confuse consult contact criticize cure defend describe"
    " despise dislike embarrass encourage entertain envy escort evaluate fire greet hire identify ignore impress"
    " insult interview introduce invite mention offend praise protect punish recognize replace rescue respect reward"
    " scare support thank trust warn welcome"
)
"""Verbs that need an object."""
THING_VERBS = _regular(
    "admire borrow carry collect damage describe destroy discover display examine ignore inspect lift lock mention"
    " notice obtain photograph polish possess purchase recommend repair replace touch use"
)
"""Verbs that need an object."""
LONE_VERBS = _regular(
    "arrive cough cry faint hesitate laugh listen sneeze smile stumble tremble vanish wait walk whisper work yawn"
    " complain disappear struggle relax snore shiver"
)
IRREGULAR_VERBS = _irregular(
    """
    break broke broken the old window
    choose chose chosen the wrong color
    draw drew drawn a large circle
    drink drank drunk the cold milk
    drive drove driven the rusty truck
    eat ate eaten the last sandwich
    fly flew flown the small plane
    forget forgot forgotten the new password
    freeze froze frozen the leftover soup
    give gave given a long speech
    hide hid hidden the stolen money
    know knew known the whole truth
    ride rode ridden a gray horse
    ring rang rung the front bell
    see saw seen the famous play
    shake shook shaken the wooden box
    shrink shrank shrunk the woolen sweater
    sing sang sung a sad song
    speak spoke spoken a foreign language
    steal stole stolen the silver ring
    swear swore sworn a solemn oath
    swim swam swum the wide river
    take took taken the early train
    tear tore torn the thin paper
    throw threw thrown the heavy ball
    wear wore worn the blue jacket
    weave wove woven a colorful carpet
    write wrote written a short letter
    begin began begun the final chapter
    bite bit bitten the green apple
    blow blew blown a loud whistle
    fall fell fallen off the ladder
    go went gone to the market
    do did done the heavy work
    """
)
PEOPLE_ADJECTIVES = _words(
    "tall old young famous angry honest clever lazy polite brave busy cheerful curious friendly nervous proud quiet"
    " rich shy strict tired wise grumpy lonely loyal modest stubborn"
)
THING_ADJECTIVES = _words(
    "old new large small heavy dusty broken expensive cheap beautiful ugly wooden strange empty clean dirty shiny"
    " fragile modern antique damp ordinary"
)
PREDICATES = _phrases(
    """
    ready for the long meeting
    proud of the final result
    angry about the sudden delay
    famous in the whole country
    tired after the journey
    afraid of the dark
    very popular in town
    quite nervous before the trial
    good at solving puzzles
    certain to win the prize
    happy with the new rules
    too busy to answer the phone
    responsible for the accident
    willing to pay the fine
    fond of classical music
    absent from the ceremony
    eager to learn the truth
    unable to find the exit
    worried about the cost
    rarely late for work
    """
)
THING_PREDICATES = _phrases(
    """
    covered with dust
    worth a lot of money
    missing from the office
    too heavy for one person
    older than the house
    on sale this week
    from a distant country
    ready to be delivered
    useful in the kitchen
    still in good condition
    made of cheap plastic
    difficult to repair
    hidden in the basement
    damaged beyond repair
    ugly but very useful
    next to the front door
    """
)
HABITS = (
    ("works", "work"),
    ("lives", "live"),
    ("sings", "sing"),
    ("sleeps", "sleep"),
    ("smokes", "smoke"),
    ("argues", "argue"),
    ("travels", "travel"),
    ("waits", "wait"),
    ("swims", "swim"),
    ("runs", "run"),
    ("reads", "read"),
    ("cooks", "cook"),
    ("dances", "dance"),
    ("complains", "complain"),
    ("eats", "eat"),
)
EXPERIENCES = _phrases(
    """
    left the building
    received a letter from the bank
    forgotten the appointment
    moved to another city
    finished the difficult task
    seen the new film
    lost the house keys
    decided to leave early
    bought a ticket for the show
    spoken to the police
    agreed to sign the contract
    heard the good news
    returned from the island
    refused to answer the question
    made a terrible mistake
    """
)
PLACES = _phrases(
    """
    in the garden
    near the station
    at the museum
    behind the church
    in the crowded hall
    outside the theater
    at the market
    by the river
    in the kitchen
    on the top floor
    at the airport
    in front of the hotel
    across the street
    at the annual party
    in the small village
    beside the old bridge
    """
)
PAST_TIMES = _phrases(
    """
    yesterday
    last week
    last night
    on Monday
    two days ago
    this morning
    last summer
    in March
    during the storm
    after the concert
    before the meeting
    """
)
FREQUENCIES = _phrases(
    """
    every morning
    every day
    most evenings
    on weekends
    all the time
    in the winter
    once a month
    """
)
OPENERS = _phrases(
    """
    According to the report,
    As everyone knows,
    In the end,
    To be honest,
    Apparently,
    Of course,
    For some reason,
    In other words,
    Without doubt,
    Once again,
    """
)
MANNERS = _words(
    "quickly slowly carefully quietly suddenly finally secretly happily angrily gently politely proudly eagerly"
    " calmly nervously rudely reluctantly immediately"
)
NEAR = _phrases(
    """
    near
    behind
    next to
    beside
    in front of
    together with
    across from
    close to
    """
)
THINKING = _regular("believe claim suspect mention notice realize announce explain")
