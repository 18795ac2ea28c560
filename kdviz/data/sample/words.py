"""Word lists in two halves: `train` words never occur in dev in the same role, and the reverse.

Names, people, things, places, adjectives and times are held out. Verbs and function words are shared: they
are what the phenomena are about, and a short fine-tuning has to be able to learn them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Words:
    """A word class. `of(split)` gives the half that a split may use."""

    train: tuple[str, ...]
    dev: tuple[str, ...]

    def of(self, split: str) -> tuple[str, ...]:
        return self.train if split == "train" else self.dev


def _listed(both: str) -> tuple[str, ...]:
    """The items of a comma-separated list, line breaks allowed."""
    return tuple(" ".join(word.split()) for word in both.split(","))


def _words(train: str, dev: str) -> Words:
    return Words(train=_listed(train), dev=_listed(dev))


PEOPLE = _words(
    """teacher, doctor, nurse, lawyer, farmer, pilot, painter, writer, banker, singer, dancer, driver,
    baker, barber, gardener, plumber, tailor, sailor, soldier, student, senator, mayor, judge, reporter,
    photographer, architect, engineer, librarian, coach, athlete, musician, drummer, violinist, poet,
    novelist, chemist, dentist, surgeon, detective, guard, clerk, cashier, tourist, visitor, neighbor,
    cousin, customer, tenant, manager, editor""",
    """scientist, journalist, carpenter, electrician, pharmacist, professor, cyclist, designer, mechanic,
    pianist, historian, butcher, astronaut, gymnast, economist, biologist, florist, jeweler, diplomat,
    hiker, sculptor, referee, cellist, trumpeter""",
)

FEMALE_NAMES = _words(
    """Mary, Anna, Susan, Laura, Julia, Emma, Alice, Clara, Diana, Helen, Irene, Karen, Linda, Maria, Nora,
    Olivia, Paula, Rachel, Sarah, Vera, Amy, Ellen, Grace, Lucy""",
    "Joan, Beth, Carol, Emily, Fiona, Hannah, Martha, Ruth, Tina, Sophie, Eva, Megan",
)
MALE_NAMES = _words(
    """John, Peter, David, Paul, Mark, Thomas, Simon, Frank, George, Henry, Jack, Kevin, Martin, Oscar,
    Philip, Robert, Steven, Victor, Walter, Adam, Daniel, Edward, Tom, Leo""",
    "Brian, Carl, Derek, Gary, Harold, Ian, Louis, Neil, Patrick, Roger, Samuel, Max",
)
NAMES = Words(train=FEMALE_NAMES.train + MALE_NAMES.train, dev=FEMALE_NAMES.dev + MALE_NAMES.dev)

WOMEN = _words(
    "woman, girl, mother, queen, actress, aunt, sister, waitress, duchess, nun, daughter, bride",
    "grandmother, princess, niece, stewardess, saleswoman, ballerina, heiress, widow",
)
MEN = _words(
    "man, boy, father, king, actor, uncle, brother, waiter, duke, monk, son, groom",
    "grandfather, prince, nephew, policeman, fisherman, sultan, butler, widower",
)

# What one person does to another, with no hint at which of the two.
SOCIAL_VERBS = _listed(
    """praise, admire, criticize, thank, help, visit, invite, follow, trust, warn, call, interview, greet,
    hire, recognize, support, blame, contact, avoid, respect, congratulate, remember, defend, encourage,
    insult, amuse, photograph, ignore, envy, assist, welcome, mention, applaud, challenge, consult,
    interrupt, rescue, annoy, mock"""
)

# What a person does; the verb first.
HABITS = _listed(
    """write poems about the sea, sing in the choir, collect old stamps, play chess at the club, ride a
    bicycle, grow tomatoes behind the house, drink coffee after lunch, speak three languages, study the
    morning paper, walk to the office, paint wooden boats, bake bread for the market, repair old clocks,
    swim in the lake, watch the evening news, cook soup for the neighbors, live near the station, wear a
    red scarf, study the stars, tell funny stories, work at the hospital, laugh at bad jokes, travel by
    train, buy fresh fish, feed the birds, complain about the weather, sleep until noon, train for the
    race, wait for the last bus, sell used books, carry a large umbrella, keep bees, listen to the
    radio, take long walks, visit the museum, write for the paper, play the guitar, climb high
    mountains, build model ships, draw portraits, fish in the river, drive a small van, catch the early
    ferry, send long letters, knit warm socks, dance at weddings, brew strong tea, run along the beach,
    worry about money, enjoy crossword puzzles, lead guided tours, plant roses"""
)

THINGS = _words(
    """lamp, chair, clock, box, coat, bicycle, table, mirror, letter, book, camera, guitar, ring, necklace,
    vase, basket, blanket, carpet, cup, plate, knife, umbrella, suitcase, radio, painting, map, key,
    wallet, hat, jacket, ladder, bottle, pillow, toy, magazine, shirt, desk, computer""",
    """violin, helmet, bracelet, candle, tent, statue, telescope, kettle, drum, backpack, notebook, flute,
    curtain, trophy, wheelbarrow, teapot""",
)
THING_VERBS = _listed(
    """buy, sell, find, lose, clean, repair, hide, carry, paint, drop, steal, photograph, borrow, admire,
    polish, deliver, wrap, inspect, damage, fetch"""
)
PLACES = _words(
    """garden, kitchen, library, market, station, park, museum, hotel, village, office, harbor, school,
    theater, cafe, hospital, church, workshop, attic""",
    "castle, cellar, airport, stadium, bakery, gallery, courtyard, barn, laboratory, lobby",
)
TIMES = _words(
    "last week, yesterday, on Monday, in the spring, after lunch, before the concert, two days ago",
    "last summer, on Friday, during the storm, after the meeting, in the evening",
)
PERSON_ADJECTIVES = _words(
    """old, young, tall, quiet, famous, friendly, nervous, clever, lonely, polite, busy, cheerful, tired,
    proud, shy, serious, elderly""",
    "kind, strict, gentle, rich, anxious, grumpy, talented, bold, modest, stubborn",
)
THING_ADJECTIVES = _words(
    "old, new, heavy, small, broken, expensive, red, wooden, beautiful, strange, dusty, large, blue, cheap",
    "ancient, tiny, yellow, fragile, elegant, rusty, worn, colorful",
)
