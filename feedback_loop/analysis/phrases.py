"""Phrases by which :mod:`.kinds` knows non-answers, praise and trouble; "|" between phrases, one language a block.

Words of several languages stand together: a phrase means the same wherever it means anything.
"""

from __future__ import annotations

import re
import unicodedata


def plain(text: str) -> str:
    """Small letters without accents; German "schön" and "würde" stay apart from "schon" and "wurde"."""
    if text.isascii():  # as most English is: the rest would change nothing
        return text.casefold().replace("`", "'")
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'").replace("`", "'")
    text = _UMLAUT.sub(lambda match: match.group().replace("ö", "oe").replace("ü", "ue"), text)
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


_UMLAUT = re.compile(r"schön|würd|wünsch")


def phrases(lines: str) -> frozenset[tuple[str, ...]]:
    """Phrases as tuples of words, without accents and in small letters."""
    return frozenset(
        tuple(phrase.split()) for line in plain(lines).split("\n") for phrase in line.split("|") if phrase.strip()
    )


def words(lines: str) -> frozenset[str]:
    """All words of the phrases."""
    return frozenset(word for phrase in phrases(lines) for word in phrase)


NON_ANSWERS = phrases("""
n a|na|n.a|none|non|nil|null|nothing|nope|no|yes|yep|yeah|ok|okay|k|fine|no comment|no comments|no answer|no reason
nothing to add
nothing to say|nothing else|nothing really|nothing much|nothing at all|nothing specific|nothing in particular
no idea|not really|not sure|unsure|unknown
i don't know|don't know|dont know|i dont know|dunno|i dunno|idk|do not know|i do not know|not applicable
does not apply|no opinion|no feedback|no thanks|no thank you
test|testing|just testing|this is a test|hello|hi|hey|see above|as above|same|same as above|ditto|whatever|pass|skip
blah|bla|asdf|anything|all|everything
i have no comment|i have no comments|i have nothing to add|i have nothing to say|nothing comes to mind
no further comment|no further comments|no suggestions|no suggestion|no complaints|no remarks|n r|tbd|idc
i don't care|meh|neutral|average|hm|hmm|hmmm|um|er|so so
nein|ja|nichts|keine|keins|kein kommentar|keine angabe|keine angaben|k a|weiss nicht|weiß nicht|ich weiss nicht
weiss ich nicht|keine ahnung|keine meinung|nichts hinzuzufugen|nix|passt|passt schon|siehe oben|egal|entfallt
keine anmerkungen|keine antwort|keine bemerkungen|kein grund|geht so
non|oui|rien|aucun|aucune|aucun commentaire|pas de commentaire|pas de commentaires|rien a dire|rien a signaler
rien a ajouter|ras|r a s|je ne sais pas|je sais pas|sais pas|ne sais pas|sans avis|sans opinion|sans commentaire
neant|sans objet|pas d'avis|d'accord|bof|voir ci dessus
si|nada|ninguno|ninguna|ningun comentario|sin comentarios|sin comentario|no se|no lo se|no aplica|nada que decir
nada que anadir|nada mas|vale|ni idea|no tengo comentarios|sin opinion|ns nc
niente|nulla|nessuno|nessuna|nessun commento|non so|non lo so|boh|nulla da dire|niente da dire|niente da aggiungere
nulla da aggiungere|va bene|non applicabile|senza commenti|nessuna opinione
nee|niks|geen|niets|geen commentaar|geen opmerking|geen opmerkingen|weet niet|weet ik niet|ik weet het niet
geen idee|n v t|nvt|niet van toepassing|geen mening|prima zo|zie boven|maakt niet uit
nao|sim|nenhum|nenhuma|nenhum comentario|sem comentarios|sem comentario|nao sei|nada a dizer|nada a declarar
nada a acrescentar|nao se aplica|sem opiniao|ta|ok entao|tanto faz
no answer given|i'd rather not say|rather not say|prefer not to say|i prefer not to say|don't want to say
no comment today
can't think of anything|cannot think of anything|can't say|can not say|nothing springs to mind|nothing i can think of
not relevant|irrelevant|not applicable|see previous|see previous answer|see my previous answer|see last answer|as before
as last time|same as last time|same as before|same answer|no reason in particular|no particular reason|no special reason
i have no opinion|have no opinion|no views|no view|no preference|i have no feedback|have no feedback|nothing specific
no additional comments|no other comments|nothing further|lol|haha|hahaha|xd|123|1234|12345|testtest|just because|because
nothing new|nothing special|no remark|don't care|who cares|not really no|i have none|none at all
none that i can think of
keine anmerkung|keine bemerkung|ohne kommentar|fallt mir nichts ein|mir fallt nichts ein|nichts weiter|nichts mehr
nichts besonderes|passt so|passt alles so|weiss ich nicht so genau|ist ok|ist okay|alles ok|in ordnung|so la la|naja
kein kommentar dazu|dazu keine angabe|nicht relevant|trifft nicht zu|wie oben|wie beim letzten mal|keine lust
aucune idee|pas d'idee|rien de special|rien de particulier|rien d'autre|aucune remarque|pas de remarque|sans remarque
non concerne|pas concerne|comme la derniere fois|ca va|je ne sais pas trop|je ne sais pas quoi dire|sans reponse
no se que decir|no sabria decir|nada en especial|nada en particular|nada especial|ningun comentario en particular
ninguna observacion|sin observaciones|sin respuesta|no procede|lo mismo|lo mismo de antes|igual|me da igual
niente di particolare|niente di speciale|nulla di particolare|non saprei|non saprei dire|nessuna osservazione
nessun suggerimento|come sopra|come prima|lo stesso|niente altro|nient'altro|nulla di piu
geen bijzonderheden|niets bijzonders|niks bijzonders|geen reactie|geen antwoord|zelfde|hetzelfde|zie vorige|verder niets
verder niks|niets toe te voegen|ik zou het niet weten|zou het niet weten|geen op of aanmerkingen|gaat wel
nao tenho comentarios|nada a comentar|nada em especial|nada em particular|nada especial|nao tenho opiniao|nao sei dizer
sem resposta|sem observacoes|o mesmo|mesma coisa|nada mais|nao tenho nada a dizer
nic|brak|brak uwag|nie wiem|nie mam uwag|nie mam zdania|nie dotyczy|bez komentarza|bez uwag|nie mam nic do dodania|tak
nie
inget|ingenting|vet inte|vet ej|nej|inga kommentarer|ingen kommentar|inget att tillagga|ingen asikt|inget sarskilt
intet|ingen kommentarer|ved ikke|ved det ikke|nei|ingenting a si|vet ikke|ikke noe|ei|ei kommentoitavaa|en tieda
""")

# Trouble with no score or a low one; with a good one, people tell how long they have been happy.
TROUBLE_UNLESS_HAPPY = words("""
day days week weeks month months year years hour hours minutes first more after before since time
tag tage woche wochen monat monate jahr jahre stunden erst mehr nur immer wenn
jour jours heures semaines plus toujours si dias semanas horas siempre mas cuando
giorni settimane ore sempre piu quando dagen weken uren meer altijd als te semana sempre mais
""")

# What a non-answer may end with.
TAILS = phrases("""
at this time|at the moment|at present|for now|right now|so far|currently|today|to me|to us|in particular|really|thanks
thank you|sorry|please|to say|to add|for me|here|either|yet|moment|im moment|danke|derzeit|dazu|merci|pour l'instant
pour le moment|gracias|por ahora|de momento|grazie|per ora|al momento|bedankt|op dit moment|hoor|obrigado|por enquanto
""")


# Positive although it names trouble; taken out before trouble is looked for.
NOT_A_PROBLEM = phrases("""
no problem|no problems|no problem at all|no problems at all|no issues|no issue|no issues at all|no complaints
no complaint|without any problem|without any problems|without any issues|without problems|without a problem
without issues|nothing to complain|nothing to complain about|no trouble|no fuss|hassle free|no hassle|trouble free
can't complain|cannot complain|couldn't be better|could not be better|can't fault|cannot fault|couldn't be happier
could not be happier|solved my problem|solved the problem|resolved my issue|fixed my problem|fixed my issue
nothing to improve|no regrets|too good|never disappoints|not bad|not bad at all|don't change anything
don't change a thing|keep it up|keep up the good work|problem solved|issue resolved
keine probleme|kein problem|ohne probleme|keine beschwerden|nichts auszusetzen|nichts zu meckern
nichts zu beanstanden|problem gelost|problemlos|reibungslos|nicht schlecht|weiter so
aucun probleme|pas de probleme|sans probleme|sans soucis|sans souci|aucun souci|rien a redire|probleme resolu
pas mal|nickel
sin problemas|sin problema|ningun problema|sin quejas|ninguna queja|problema resuelto|nada que objetar
nessun problema|senza problemi|problema risolto|niente da ridire|nulla da ridire|nulla da eccepire
geen probleem|geen problemen|zonder problemen|geen klachten|niets op aan te merken|probleem opgelost|niet slecht
ga zo door
sem problemas|nenhum problema|sem reclamacoes|problema resolvido|nada a reclamar
""")

PRAISE = phrases("""
good|great|very good|excellent|perfect|perfectly|amazing|awesome|fantastic|wonderful|brilliant|superb|outstanding
lovely|nice|cool|super|terrific|splendid|marvellous|fabulous|exceptional|stellar|impeccable|flawless|seamless|smooth
smoothly|top notch|first class|five stars|spot on|well done|good job|great job|nice job|good work|great work
keep it up|love it|i love it|loved it|love this|love you|love|loved|like it|i like it|liked it|enjoyed it|happy
very happy|pleased|satisfied|delighted|impressed|grateful|thankful|appreciate|appreciated|recommend|recommended
thanks|thank you|thx|ty|cheers|many thanks|kudos|bravo|quick|fast|speedy|prompt|promptly|quickly|easy|easily|simple
helpful|friendly|polite|kind|professional|efficient|courteous|patient|attentive|knowledgeable|responsive|reliable
pleasant|best|the best|better than expected|works well|works great|works perfectly|it works|all good|all is good
everything is fine|everything was fine|everything fine|everything is good|everything was good|all fine|all well
a pleasure|wow|yay|convenient|intuitive|beautiful|on time|exceeded expectations|exceeded my expectations
gut|sehr gut|super|toll|klasse|prima|spitze|hervorragend|ausgezeichnet|perfekt|wunderbar|fantastisch|grossartig
genial|top|einwandfrei|danke|vielen dank|dankeschön|danke schön|freundlich|nett|schnell|zufrieden|sehr zufrieden
begeistert|hilfreich|kompetent|einfach|empfehlenswert|liebe es|ich liebe es|gerne wieder|alles gut|alles bestens
alles in ordnung|alles super|bestens|lob|unkompliziert|zuverlassig|gefallt mir|schön
bien|tres bien|bon|super|genial|parfait|excellent|formidable|merci|merci beaucoup|rapide|efficace|sympa|sympathique
aimable|agreable|satisfait|satisfaite|tres satisfait|tres satisfaite|content|contente|bravo|j'adore|j'aime|top
impeccable|simple|facile|tout va bien|tout est parfait|tout est bien|pratique|magnifique|au top|recommande
professionnel|ravi|ravie
bien|muy bien|bueno|buena|muy bueno|muy buena|genial|perfecto|perfecta|excelente|estupendo|estupenda|fantastico
fantastica|maravilloso|gracias|muchas gracias|rapido|rapida|amable|amables|eficiente|eficaz|contento|contenta
satisfecho|satisfecha|me encanta|me gusta|encantado|encantada|todo bien|todo perfecto|facil|recomendable|recomiendo
increible|de diez
bene|molto bene|buono|buona|ottimo|ottima|perfetto|perfetta|eccellente|fantastico|fantastica|grazie|grazie mille
molte grazie|veloce|rapido|gentile|gentili|gentilissimi|cordiale|efficiente|soddisfatto|soddisfatta|contento
contenta|bravi|bravissimi|mi piace|adoro|tutto bene|tutto ok|tutto perfetto|facile|consigliato
meraviglioso|magnifico|top
goed|heel goed|erg goed|super|geweldig|prima|uitstekend|perfect|fantastisch|top|bedankt|dank je|dank u|dank jullie
hartelijk dank|snel|vriendelijk|aardig|behulpzaam|tevreden|zeer tevreden|blij|fijn|leuk|mooi|makkelijk|eenvoudig
aanrader|alles goed|alles prima|keurig|netjes
bom|boa|muito bom|muito boa|otimo|otima|excelente|perfeito|perfeita|fantastico|fantastica|maravilhoso|maravilhosa
obrigado|obrigada|muito obrigado|muito obrigada|rapido|rapida|simpatico|simpatica|atencioso|atenciosa|eficiente
satisfeito|satisfeita|feliz|adorei|adoro|amei|gostei|gosto|tudo bem|tudo certo|tudo perfeito|facil|recomendo
parabens|nota dez
""")

# With a low score, these are as often meant the other way round.
IRONY_PRONE = words("""
great|brilliant|fantastic|wonderful|lovely|nice|cool|super|awesome|amazing|well|bravo|kudos|congratulations|cheers
wow|yay|perfect|excellent|marvellous|thanks|thx|ty|outstanding|superb|terrific|splendid|top|best|recommend|good|love
fast|quick|speedy|prompt|quickly|promptly|impressed
toll|klasse|prima|spitze|danke|dank|hervorragend|perfekt|wunderbar|grossartig|genial|bestens|lob|gut|schnell
begeistert
merci|parfait|formidable|magnifique|bravo|rapide|bien|bon
gracias|genial|perfecto|estupendo|maravilloso|excelente|rapido|bien|bueno
grazie|ottimo|perfetto|bravi|bravissimi|complimenti|veloce|bene|buono
bedankt|geweldig|uitstekend|snel|fijn|leuk|mooi|lekker|goed
obrigado|obrigada|parabens|otimo|perfeito|bom|bem
""")

# Not praise where these follow: "top up", "nice to have", "best before", "happy hour".
NOT_PRAISE = phrases("""
top up|top ups|top off|top of|topped up|top right|top left|nice to have|good to have|best before|happy hour|quick start
fast food|easy jet|be great|be nice|be good|be lovely|be perfect|be helpful|be useful|be cool|be happy|be happier
be awesome
be fantastic|be brilliant|be amazing|be better|be easier|nice try|good luck|best of luck|good for nothing|as good as
too good to be true|good enough|good riddance|happy to pay|love to|like to|love of|thank you page|thanks for nothing
thanks for wasting|thanks for ignoring|thank you for ignoring|thank you for wasting|thanks to your|so helpful
anything but|far from|well done you|first time buyer|best friend|short of|used to|fair enough|not so|in short|fell short
way to|great way to|free trial|perfect timing|great idea|brilliant idea|nice idea|good idea|good intentions|super idee
danke fur nichts|danke fur gar nichts|gut gemeint|alles andere als|netter versuch|wäre schön|ware super|ware toll
ware gut
wären schön|schön wäre|gute idee|nette idee|merci pour rien
bonne idee|serait bien|serait parfait|serait super|serait top|estaria bien|estaria genial|seria ideal|buena idea
gracias por nada|sarebbe bello|sarebbe utile|sarebbe ottimo|grazie per niente|buona idea|grazie di niente|zou fijn
zou mooi|zou leuk|leuk idee|goed idee|bedankt voor niets|bedankt voor niks|graag|obrigado por nada|obrigada por nada
seria bom|seria otimo|boa ideia|seria legal|byloby super|byloby fajnie|byloby milo
""")

# Negation, contrast, wishes and trouble: one of these, and the text is a problem.
TROUBLE = words("""
no|not|nor|never|nothing|none|nobody|nowhere|cannot|cant|dont|doesnt|didnt|isnt|wasnt|wont|without|hardly|barely|but
however|although|though|except|unless|yet|still|again|only|if|would|could|should|wish|hope|need|needs|want|please
why|how|when|where|what|which|who|can|until|unfortunately|sadly|instead|rather|than|too|less|worse|worst|bad|badly
poor|poorly|slow|slowly|late|delay|delayed|delays|wait|waited|waiting|problem|problems|issue|issues|error|errors
fail|failed|fails|failure|broken|broke|break|bug|bugs|crash|crashes|crashed|wrong|missing|lost|lose|stuck|hard
difficult|confusing|confused|complicated|expensive|overpriced|pricey|charge|charged|fee|fees|refund|cancel
cancelled|complain|complaint|disappointed|disappointing|disappoint|annoying|annoyed|angry|frustrating|frustrated
terrible|horrible|awful|useless|rude|unhappy|unacceptable|ridiculous|joke|sarcasm|hate|hated|dislike|stop|stopped
stops|suddenly|time|times|third|second|week|weeks|day|days|hour|hours|month|months|years|minutes|almost|nearly
except|improve|improvement|better|more|used|before|anymore|after|since|lack|lacks|limited|declined|blocked|stolen
fraud|scam|damaged|dirty|cold|empty|leak|leaking|noisy|fix|fixed|repair|change|add|support's|another|other
nicht|kein|keine|keinen|nie|niemals|nichts|niemand|ohne|aber|jedoch|obwohl|trotzdem|leider|nur|erst|wieder|noch
wenn|falls|warum|wieso|wie|wann|wo|bitte|zu|schlecht|schlechter|langsam|spat|verspatet|verspatung|warten
gewartet|problem|probleme|fehler|kaputt|defekt|falsch|fehlt|verloren|schwierig|kompliziert|teuer|gebuhr|enttauscht
arger|argerlich|unfreundlich|mangelhaft|hatte|ware|konnte|sollte|besser|mehr|sonst|ausser|wochen|tage|stunden|mal
ne|pas|jamais|rien|aucun|aucune|sans|mais|cependant|pourtant|malheureusement|dommage|encore|si|pourquoi
comment|quand|trop|mal|mauvais|mauvaise|lent|lente|retard|attendre|attendu|attente|probleme|problemes|erreur|panne
casse|faux|manque|perdu|difficile|complique|cher|frais|decu|decue|nul|nulle|pire|mieux|plus|sauf|faudrait|pourrait
jours|semaines|heures|fois|bug|bugs
nunca|jamas|nada|nadie|ningun|sin|pero|aunque|lamentablemente|solo|otra|vez|todavia|porque|cuando|cuanto
demasiado|mal|malo|mala|lento|lenta|tarde|retraso|esperar|esperando|espera|problema|problemas|error|roto|falla|fallo
falta|perdido|dificil|complicado|caro|cara|decepcionado|decepcionante|peor|mejor|mas|excepto|dias|semanas|horas
veces
non|mai|niente|nessuno|nessuna|senza|ma|pero|tuttavia|purtroppo|solo|ancora|se|perche|come|quando|quanto
troppo|male|cattivo|lento|lenta|ritardo|attesa|aspettare|problema|problemi|errore|rotto|guasto|manca|perso|difficile
complicato|caro|deluso|delusa|peggio|meglio|piu|tranne|giorni|settimane|ore|volta|volte
niet|geen|nooit|niets|niemand|zonder|maar|echter|hoewel|helaas|jammer|alleen|weer|nog|als|waarom|hoe|wanneer
waar|te|slecht|slechter|langzaam|traag|laat|vertraging|wachten|gewacht|probleem|problemen|fout|kapot|stuk|mist|kwijt
moeilijk|ingewikkeld|duur|kosten|teleurgesteld|erger|beter|meer|behalve|dagen|weken|uren|keer
nao|nunca|jamais|nenhum|sem|mas|porem|embora|infelizmente|apenas|novamente|ainda|se|quando|como|quanto|demais
mal|mau|ma|ruim|pessimo|lento|lenta|tarde|atraso|esperar|esperando|espera|problema|problemas|erro|quebrado|falha
falta|perdido|dificil|complicado|caro|decepcionado|pior|melhor|mais|exceto|dias|semanas|horas|vezes
it'd i'd that'd you'd they'd we'd there'd might may maybe perhaps unless otherwise despite apart nor neither
ruined smashed crushed disappeared vanished gone closed locked refused refuses rejected doubled tripled cheaper dearer
quicker faster bigger smaller larger longer shorter wider louder warmer cooler cleaner loud small smaller tiny tight
narrow
lukewarm stale burnt raw dirty filthy smelly smells smell stinks leak leaks leaked drains drain blank ages queue queues
queuing overcrowded crowded packed-out rubbish mess messy shame pity regret regretted avoid ignore ignored ignoring
ignores
boring bored tiring tired annoyance nuisance spam outage outages nothing's freezes freeze froze frozen lag laggy lags
mistake mistakes incorrect outdated torn tore scratched scratches squeaks squeaky itch itchy itches wobbly wobbles
creaks
stain stains stained mould mouldy rust rusty rip ripped rips fell falls faded shrunk shrank waste wasted wasting wastes
chaos chaotic unhelpful pointless clueless arrogant impolite unfair misleading misled hidden unclear unable impossible
unavailable unsafe uncomfortable unfriendly unreliable unusable unreadable unpleasant unprofessional undercooked unpaid
sadder sags sagging stuffy hot freezing humid damp wet soaked drowned heavy weak flimsy fragile cheap cheaply snapped
split splits sprung cracked cracks peeled peels stopped refund refunded returned replace replaced replacement lacking
lousy mediocre dreadful appalling atrocious disgusting gross nasty pathetic shocking disgrace disgraceful abysmal
diabolical
forgot forgotten forget forgets lied lie lies liar cheat cheated cheating rip-off ripoff ripped overbooked
double-charged
hung hang hangs disconnected dropped drops disconnect unplugged reject rejecting denied deny declined bounced expired
expire expires reverted reversed pending blocked banned suspended frozen disabled removed deleted erased loses losing
blame fault faulty flaw flaws defective defect damaged damage dent dented bent shattered spilled spilt poisoned sick ill
hurt hurts hurting pain painful injured dangerous hazard scary rudely shouted shout yelled screamed swore argue argued
bad-tempered grumpy unsmiling moody lazy inattentive tricked trick deceived hassle struggle struggled struggling
cannot wouldnt couldnt shouldnt hasnt havent arent werent hadnt mustnt wont dont away smokes smoke smoky
complicated cumbersome clunky clumsy slower slowest lower worse rarely seldom sometimes occasionally usually half partly
leider laut kalt lauwarm leer schmutzig dreckig eng klein winzig dunkel nass feucht undicht zerrissen gerissen gebrochen
beschadigt verschwunden weg geschlossen gesperrt besetzt abgelehnt storung ausfall absturz sturzt stürzt hangt lahm
nervt
nervig argert genervt unubersichtlich unverstandlich unklar unfahig ahnungslos inkompetent uberteuert unverschamt frech
schliesst fruher anders ausserdem dauert dauerte warteschlange schlange ewig umsonst vergessen verschickt storen gestort
wünsche wünschte wünschen würde würden stinkt riecht schimmel rost ruckgabe reklamation nachteil abgesehen
geht's-nicht zerbrochen zerkratzt knapp schwach hart unbequem dreimal zweimal viermal lieber
interminable bruyant bruyante froid froide tiede petit petite etroit sombre humide mouille dechire ouvert ferme
fermee bloque bloquee refuse refusee bug plante rame perime periment fragile dur dure fatigant penible enerve agace
enervant honteux incompetent mauvaises serait faudra aimerais voudrais souhaite souhaiterais reparer repare
remboursement rembourse reclamation arnaque vol vole oublie oublier peu assez-peu presque quasi vide minuscule
desagreable incompréhensible incomprehensible abime abimee
sucio sucia ruido ruidoso ruidosa frio fria pequeno pequena estrecho oscuro humedo mojado roto rota rompio cerrado
cerrada
bloqueado rechazado carisimo cara cola colas dura duro vieja viejo averia cae caido cierra gustaria podria deberia
estaria
seria quisiera ojala falto robado estafa vergonzoso desagradable maleducado antipatico inutil incomodo tardo tardaron
tarda
olvidaron cuesta cobraron cobrado cuanto vacio defectuoso danado fragil
infinita infinito sporco sporca rumore rumoroso rumorosa freddo fredda piccolo piccola stretto buio umido bagnato rotta
chiuso chiusa bloccato rifiutato salato salata coda fila duro dura vecchio vecchia cade piacerebbe vorrei potrebbe
dovrebbe
sarebbe magari rubato truffa vergogna sgradevole maleducato antipatico inutile scomodo dimenticato distrutto distrutta
danneggiato difettoso fragile vuoto scadente pessimo pessima nessun
vies vieze lawaai luid koud koude klein kleine krap donker nat gescheurd gebroken gesloten dicht geblokkeerd geweigerd
traag trage wachtrij rij hard oud valt lekt lek zou zouden graag liever gestolen oplichting schande onvriendelijk
onbeleefd
nutteloos vergeten beschadigd defect leeg storing uitval vervelend irritant werkt-niet onduidelijk nergens
sujo suja barulho barulhento frio fria pequeno pequena apertado escuro molhado rasgado quebrada quebrou fechado fechada
bloqueado recusado fila filas duro dura velho velha fraco fraca cai caiu travou trava gostaria poderia deveria seria
queria tomara roubado golpe vergonha desagradavel mal-educado inutil esqueceram danificado defeito vazio pessima
perderam
perdeu enorme demora demorou demorado
nie ale jednak niestety brak znowu zawiesza psuje drogo wolno dlugo czekam czekalam byloby powinno gdyby zepsuty zimny
inte aldrig tyvarr dyrt dyr langsam langsamt trasig saknas borde skulle igen ikke aldri dessverre desvarre
""")

# Words that say neither good nor bad, and what is usually praised.
PLAIN_WORDS = words("""
a|an|the|and|it|it's|its|is|was|are|were|be|been|i|i'm|im|we|you|your|they|he|she|my|our|me|us|this|that|so|very
really|absolutely|totally|all|everything|everyone|always|have|has|had|with|to|for|of|in|on|at|as|from|by|just|such
much|lot|lots|highly|will|am|do|did|get|got|here|there|every|any|well|extremely|incredibly|quite|pretty|truly|indeed
overall|definitely|guys|team|staff|service|services|customer|support|app|website|site|product|products|experience
delivery|company|shop|store|agent|people|person|work|job|quality|everyone|friend|friends|both|keep|use|using|far
ever|buy|hi|hello|dear|regards|best regards|stars|star|also|first|made|make|feel|day
der|die|das|ein|eine|und|ist|war|sind|waren|ich|wir|sie|ihr|euch|mein|meine|mir|mich|uns|es|so|sehr|alles|alle|ganz
wirklich|absolut|mit|fur|von|im|in|am|bei|auch|service|kundenservice|kundendienst|beratung|lieferung|mitarbeiter
mitarbeiterin|personal|team|app|seite|produkt|produkte|qualitat|bin|hat|haben|habe|gute|guter|gutes|tolle|toller
tolles|schnelle|schneller|netter|nette|nettes|freundliche|freundlicher|geht|lief|funktioniert|macht
le|la|les|l|un|une|et|est|sont|etait|etaient|je|j'ai|nous|vous|votre|vos|mon|ma|mes|ce|c'est|cette|tres|vraiment
tout|tous|avec|pour|de|du|des|d|en|au|service|client|equipe|personnel|livraison|produit|application|appli
site|accueil|qualite|suis|a|bonne|bons|bonnes|excellente|parfaite|rapides
el|los|un|una|y|es|son|era|fue|estoy|soy|nosotros|usted|ustedes|su|sus|mi|mis|este|esta|esto|muy|realmente|todo
todos|con|por|para|de|del|en|al|lo|servicio|atencion|cliente|equipo|personal|entrega|producto|aplicacion|web|calidad
trato|ha|han|he|estan
il|lo|gli|i|uno|e|sono|era|erano|io|noi|voi|vostro|mio|mia|questo|questa|molto|davvero|tutto|tutti|con|per|di|del
della|in|al|servizio|assistenza|cliente|clienti|squadra|personale|consegna|prodotto|app|sito|qualita|ho|ha|hanno
stato|stata
de|het|een|en|is|zijn|was|waren|ik|wij|we|u|jullie|mijn|ons|deze|dit|dat|heel|erg|zeer|echt|alles|met|voor|van|in|op
bij|service|klantenservice|klant|team|personeel|levering|product|app|site|kwaliteit|ben|heb|heeft|hebben|goede
snelle|vriendelijke|fijne|werkt|ging
o|os|as|um|uma|e|sao|era|foi|eu|nos|voces|seu|sua|meu|minha|este|esta|isso|muito|realmente|tudo|todos|com|por|para
de|do|da|no|na|em|servico|atendimento|cliente|equipe|equipa|entrega|produto|aplicativo|site|qualidade|estou|sou|esta
foram
""")
