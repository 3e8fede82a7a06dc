"""The vocabulary of simulated answers: 256 words, so that one byte chooses one.

Each is a single token of cl100k_base and o200k_base when a space stands before it, which
makes the lengths of answers true.
"""

WORDS: tuple[str, ...] = tuple(
    """
time year people way day man thing woman life child world school state family student group
country problem hand part place case week company system program question work government number
night point home water room mother area money story fact month lot right study book eye job word
business issue side kind head house service friend father power hour game line end member law
car city community name president team minute idea kid body information back parent face others
level office door health person art war history party result change morning reason research girl
guy moment air teacher force education food plan read long run set small old new good great high
large next early young important few public bad same able open free true full sure clear white
black red blue green hot cold light dark heavy strong short quick slow late simple hard easy
soft near far deep wide ready happy sad safe rich poor clean dry wet rain snow wind sun moon
star sky sea river lake field tree plant flower fruit animal dog cat bird fish horse road street
bridge station train plane ship boat table chair bed window wall floor roof kitchen garden paper
letter picture music song dance film sport ball race test answer note list page price cost
market bank store shop product order report record data computer phone network code file image
sound voice language sentence grammar meaning measure weight size shape color center middle top
bottom left front corner edge north south east west spring summer autumn
""".split()
)
