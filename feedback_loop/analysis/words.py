"""Words that say nothing about a problem, in the languages the analysis knows best (en, de, fr, es, it, nl, pt)."""

from __future__ import annotations


def _words(lines: str) -> list[str]:
    return lines.split()


_STOP = _words("""
a about above after again against all also am an and any are aren't as at be because been before being below between
both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each few for from
further get gets getting got had hadn't has hasn't have haven't having he her here hers him his how i i'd i'll i'm
i've if in into is isn't it it's its itself just let's like me more most my myself no nor not now of off on once
only or other our ours out over own please really same she should shouldn't so some still such than thanks that
that's the their them then there there's these they they're this those through to too under until up us very was
wasn't we we're we've were weren't what what's when where which while who whom why will with won't would wouldn't
you you're your yours yet ve re ll don didn doesn isn wasn t s aber alle als also am an auch auf aus bei bin bis
bitte da damit dann das dass dein dem den der des die dies diese dieser doch du durch ein eine einem einen einer
eines er es für hab habe haben hat hatte ich ihr im immer in ist ja kann kein keine keinen man mein meine meinem
meinen mich mir mit nach nicht noch nun nur oder ohne schon sehr sein seine sich sie sind so über um und uns von vor
war warum was wenn wer werden wie wieder wir wird wo wurde zu zum zur à alors au aucun aussi autre aux avec avez
avoir c'est ce cela ces cette comme comment dans de des deux du elle en est et être eu fait il ils j'ai je la le les
leur lui mais me merci mes moi mon même n'est ne nos notre nous on ont ou où par pas plus pour pourquoi qu'il que
quel qui sa sans se ses si son sont sur ta te tes toi ton tous tout très tu un une vos votre vous y ça al algo como
con cuando del desde donde dos el ella en entre era es esa ese eso esta está estaba este esto estoy fue ha han hasta
hay la las le lo los más me mi mis muy nada ni no nos nosotros o otra otro para pero por porque puedo que qué se ser
si sí sin sobre son su sus también te tengo tiene todo tu un una uno y ya yo agli ai al alla anche c'è che chi ci
come con cosa cui da dal dalla degli dei del della delle di dove e è ed era gli ha hanno ho i il in io l'ho la le
lei lo loro ma mi mia mio molto nel nella non o ogni per perché perchè più poi può quando quello questa questo se
sei senza si sia sono su sua sul sulla suo tra tutto un una uno vi aan al als alsjeblieft bij daar dan dat de der
deze die dit doen dus een en er ge geen haar had heb hebben heeft het hier hij hoe ik in is ja je kan maar me
mee meer met mij mijn moet na naar niet niets nog nu of om omdat onder ons ook op over te toch toen tot u uit uw van
veel voor waar waarom wat we wel werd wie wij wil worden wordt zal ze zich zij zijn zo zou ao aos as até com como da
das de dela dele depois do dos e é ela ele em entre era essa esse esta está estava este estou eu foi há isso já lhe
mais mas me mesmo meu minha muito na não nas nem no nos nós num o os ou para pela pelo por porque quando que quem se
sem ser seu sua também te tem tenho tudo um uma você vocês
""")

STOP_WORDS = frozenset(_STOP) | {word.replace("'", "’") for word in _STOP if "'" in word}

# Openings that customers write before they come to the point. Longest first, so that "can you tell me why" goes whole.
_FILLERS = """
can you please tell me why|can you tell me why|could you tell me why|can you please tell me|can you tell me
could you tell me|can you please explain why|can you explain why|please tell me why|please tell me|tell me why
i would like to know why|i want to know why|i'd like to know why|i would like to know|i want to know|i'd like to know
i would like to|i'd like to|i am writing because|i don't understand why|i do not understand why|i wonder why
i think that|i think|i believe that|i believe|i feel like|i feel that|it seems that|it seems like|it seems
it looks like|it appears that|it appears|just wanted to say that|just wanted to say|i noticed that|i noticed|i see that
how come|i am not sure why|i'm not sure why|i am wondering why|i am wondering|i'm wondering why|i'm wondering if
i am wondering if
i just noticed that|i just noticed|i have noticed that|i've noticed that|i've noticed|i was wondering if
i was wondering why
i was wondering|i think there is|i see|ironically|again|still|also|once again|once more|this time|as i said|as usual
guys
for some reason|to be honest|in my opinion|all in all|overall|second message|same here|me again|good day|greetings
please help me|please help|help me|please|hi there|hello there|hi|hello|hey|dear team|dear sir|dear madam|dear
good morning|good afternoon|good evening|sorry but|sorry|well|so|and|but|also|because|then|ok|okay|honestly
unfortunately|basically|actually|why is it that|why is that|why|not sure why|no idea why
guten tag|hallo|bitte|leider|und|aber|warum|wieso|ich finde dass|ich finde
bonjour|s'il vous plaît|svp|malheureusement|et|mais|pourquoi
allerdings|eigentlich|ehrlich gesagt|außerdem|schon wieder|liebes team|sehr geehrte damen und herren|weil|dass
ich glaube
en plus|franchement|en fait|de plus|encore une fois|car|je trouve que|je pense que|il semble que
además|sinceramente|la verdad|otra vez|creo que|parece que|buenas tardes|buenas
inoltre|sinceramente|di nuovo|credo che|sembra che|buonasera|salve
bovendien|eigenlijk|eerlijk gezegd|alweer|ik vind dat|ik denk dat|goedemorgen|beste
além disso|sinceramente|de novo|acho que|parece que|boa tarde|oi
hola|buenos días|por favor|lamentablemente|y|pero|por qué
buongiorno|ciao|per favore|purtroppo|e|ma|perché
hoi|goedendag|alstublieft|helaas|en|maar|waarom
olá|bom dia|infelizmente|mas|por que
"""

FILLERS: tuple[tuple[str, ...], ...] = tuple(
    sorted(
        {tuple(phrase.split()) for line in _FILLERS.split("\n") for phrase in line.split("|") if phrase.strip()},
        key=lambda words: (-len(words), words),
    )
)

# Words that no clause ends with. Not "in" or "on": people cannot log in.
LEADS_ON = frozenset(
    _words("""
a an and are as because but by for from if is its my of or our than that the their was were with your
aber als am auf bei das dem den der die ein eine mit oder und von zum zur
au aux avec ce de des du et la le les mais ou par pour que un une con el los para por y
""")
)

# Words by which a reader knows a question, a half sentence or a story.
WHYS = frozenset(_words("why warum wieso weshalb pourquoi perché perchè waarom"))
ASKING = frozenset(
    _words("""
what when where which who whom whose how what's where's how's was wann wo welche welcher welches wer wie comment quand
où
quel quelle quels quelles combien qué cuándo dónde cuál quién cómo cuánto che quale quali quando dove chi come quanto
wat
wanneer welke wie hoe hoeveel o que qual quais onde quem como quanto
""")
)
INVERTED = frozenset(
    _words("""
is are am was were do does did has have had can could will would should won't can't couldn't wouldn't shouldn't doesn't
don't didn't isn't aren't wasn't weren't hasn't haven't may must ist sind war hat habt haben kann könnt könnte wird
werden
wurde muss darf soll geht funktioniert kommt heeft hebben kan kunnen wordt worden werkt moet krijg
""")
)
SUBORDINATE = frozenset(
    _words("""
if when whenever while after before because although though as until unless that which who whose where once whereas
wenn weil obwohl nachdem bevor während sobald falls sodass damit ob
si quand lorsque lorsqu'on parce puisque que qui dont bien afin
cuando porque aunque mientras que quien cuyo
se quando poiché mentre sebbene che cui
als omdat hoewel terwijl nadat voordat toen dat die zodra indien
quando porque embora enquanto que quem caso
like to by with without for of from than und et y e en and or oder ou o
""")
)
FIRST_PERSON = frozenset(
    _words("i i've i'd i'm we we've ich wir habe je j'ai nous yo he hemos io ho abbiamo ik wij we eu")
)
POINTS_BACK = frozenset(
    _words(
        "it this that they these those it's they're es er sie elle ça ce c'est lo eso esto ciò questo het dit dat isso"
    )
)
# Not those that mean something else in another language: Dutch "en" and "want", Italian "ma", French "car".
CONJUNCTIONS = frozenset(
    _words("""
and but because while although when und aber weil obwohl wenn sondern et mais quand y pero porque cuando aunque e perché
quando mentre maar omdat terwijl embora
""")
)
# Where a long clause may end; not "of" and "to", which bind what follows to what comes before.
PREPOSITIONS = frozenset(
    _words("""
for with at from by after before when while because if since until than that without für mit nach bei seit wegen bevor
trotz ohne pour dans avec sur avant après depuis chez sans quand para por con desde hasta sin cuando per con dopo senza
voor met bij na sinds zonder omdat com desde sem quando although though but and und et mais pero maar
""")
)
# Words a name does not end with, besides stop words.
TRAILERS = frozenset(
    _words("""
though please thanks thank you guys really always already something anything someone especially almost even either like
bitte danke immer schon fast sogar besonders merci svp presque toujours déjà même gracias siempre casi nunca incluso
tanto
grazie sempre quasi mai già addirittura bedankt altijd bijna heel erg zelfs andere obrigado sempre quase nunca já
""")
)
