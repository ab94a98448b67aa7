"""How customers praise, in the languages :mod:`.kinds` knows best; "|" between phrases, one language a block."""

from __future__ import annotations

from feedback_loop.analysis.phrases import PLAIN_WORDS, PRAISE, phrases, words

# Praise, whatever its words say one by one; taken out before trouble is looked for.
IDIOMS = phrases("""
made my day|makes my day|worth every penny|worth every cent|worth the money|worth the wait|well worth it|like a charm
like a dream|does what it says|does exactly what it says|does what it says on the tin|on the tin|the extra mile
extra mile|above and beyond|above and beyond for us|ten out of ten|five out of five|10 out of 10|10 10|5 out of 5|5 5
5 stars|five star|exactly what i needed|exactly what i wanted|just what i needed|just what i wanted|what i needed
exactly what we needed|exactly what i was looking for|found what i wanted|found what i needed|saved me a call
saved me time|saved me hours|answered my question|answered my questions|answered all my questions|solved it
sorted it|fixed it in no time|in no time|in no time at all|in seconds|within minutes
ahead of time|ahead of schedule|right on time|always on time|a day early
days early|two days early|earlier than expected|earlier than promised|sooner than expected|faster than expected
quicker than expected|before the promised date|better than i expected|better than i hoped|so much better
so much easier|much easier|much better|easier than ever|better than ever|could not be easier|couldn't be easier
could not ask for more|couldn't ask for more|could not have been better|couldn't have been better|first class
first rate|worked first time|works first time|fitted first time|second to none|nothing but praise
nothing is too much trouble|nothing was too much trouble|not disappointed|wasn't disappointed|was not disappointed
never disappointed|never a problem|never a hitch|never an issue|without a hitch|never let me down|never lets me down
never regretted|never regretted it|no regrets|never had a problem|never had a problem with|never had any problems
never had any issues|never had an issue|no quibble|no quibbles|no nonsense|no stress|no fuss at all
will order again|would order again|will buy again|would buy again|will shop again|will use again|would use again
will be back|we will be back|i will be back|i'll be back|we'll be back|will come back|will come again|see you again
see you soon|coming back|come back again|would recommend|i'd recommend|i would recommend|would highly recommend
can only recommend|can recommend|keep up the good work|keep going|still the best
wish every shop did it like you|thank you for explaining|thank you for your help|thanks for your help
thank you for the help|thanks for the help|thanks for explaining|thank you so much|thanks so much|thanks again
thanks a million|what more could you want|felt at home|like home|at ease|for the money|value for money|turned out well
turned out great|turned out brilliantly|turned out perfectly|it didn't shrink|how you keep people|dead clever
tailored for me|finally warm|just works
jederzeit wieder|immer wieder gern|immer wieder gerne|komme wieder|komme gerne wieder|komme gern wieder
kommen gerne wieder|kommen wieder|gern wieder|nur zu empfehlen|kann ich nur empfehlen|kann man nur empfehlen
klare empfehlung|absolute empfehlung|besser geht's nicht|besser geht es nicht|geht nicht besser|konnte nicht besser sein
keine wunsche offen|mehr als zufrieden|schneller als erwartet|besser als erwartet|fruher als erwartet
wie angegossen|passt perfekt|wie beschrieben|noch nie probleme|nie probleme|noch nie enttauscht|nie enttauscht
macht spass|macht spaß|hat geholfen|sehr geholfen|hat mir geholfen|hat alles geklappt|alles hat geklappt
hat super geklappt
nichts zu verbessern|immer freundlich|immer nett|immer hilfsbereit|immer zufrieden|rundum zufrieden|immer punktlich
wie immer|gut verpackt|sicher verpackt|punktlich angekommen|gut angekommen|schnell da|wohl gefuhlt|wohlgefuhlt
je reviendrai|nous reviendrons|on reviendra|je recommande|a recommander|qualite prix|bien emballe|bien emballee
a l'heure|en avance|plus vite que prevu|avant la date prevue|comme a la maison|petits soins|a l'ecoute|ne changez rien
ne changez surtout rien|toujours au top|jamais decu|jamais decue|pas decu|pas decue|au dela de mes attentes
toujours aimable|toujours souriant|toujours a l'ecoute|comme toujours|sans attente|sans attendre|m'a aide|m'a bien aide
tout etait parfait|plus que satisfait|plus que satisfaite|que du bonheur|rien a dire de negatif|conforme
antes de lo previsto|antes de lo esperado|antes de tiempo|un diez|10 de 10|no puedo pedir mas|no se puede pedir mas
de maravilla|no cambiaria nada|nunca falla|nunca fallan|me ha servido|me sirvio|me ha ayudado|mejor imposible
la mejor|el mejor|los mejores|las mejores|siempre amables|siempre perfecto|como siempre|como en casa|mas que satisfecho
calidad precio|sin esperas|muy bien embalado|bien embalado|mejor de lo esperado|vuelvo siempre|me soluciono todo
come descritto|in anticipo|prima del previsto|non potevo chiedere di meglio|meglio di cosi|mai deluso|mai delusa
continuate cosi|qualita prezzo|trovata bene|trovato bene|trovata benissimo|trovato benissimo|da consigliare
consiglio a tutti|lo consiglio|la consiglio|ben imballato|come sempre|sempre gentili|sempre disponibili|il migliore
la migliore|i migliori|le migliori|senza attesa|piu che soddisfatto|piu che soddisfatta|come a casa|mi e servito
mi ha aiutato|in perfetto orario|nessuna lamentela|nulla da migliorare
kom zeker terug|komen zeker terug|kom graag terug|voor herhaling vatbaar|niets te klagen|niks te klagen
precies wat ik zocht|precies wat ik nodig had|sneller dan verwacht|beter dan verwacht|op tijd|nooit problemen
goed verpakt|netjes verpakt|nooit teleurgesteld|kan niet beter|kon niet beter|altijd goed|altijd vriendelijk
altijd prima
altijd snel|zoals altijd|volgende dag|de volgende dag|prima geholpen|goed geholpen|snel geholpen|prijs kwaliteit
meer dan tevreden|zeker een aanrader|helemaal blij|als gegoten|zoals beschreven
antes do prazo|antes do previsto|nota mil|nota 10|recomendo a todos|superou as expectativas|superou expectativas
superou minhas expectativas|bem embalado|chegou certinho|como sempre|sempre atenciosos|nunca me decepcionou
nunca tive problemas|nao tenho do que reclamar|melhor impossivel|o melhor|a melhor|os melhores|as melhores
custo beneficio|me ajudou|ajudou muito|mais que satisfeito|mais que satisfeita|como em casa|de parabens|show de bola
""")

# Neither praise nor trouble, though a word of them may sound like it.
HARMLESS = phrases("""
yes|yep|yeah|ja|oui|si|sim|tak|next day|the next day|same day|the same day|in a minute|in minutes|in two minutes
at first|every time|year after year
thanks to|start to finish|from start to finish|straight out of the box|out of the box|all day|every day|all day long
in two days|in a few days|within a day|for years|first order|am nachsten tag|jeden tag|seit jahren|in zwei tagen
en deux jours|tous les jours|le lendemain|en dos dias|al dia siguiente|todos los dias|in due giorni|il giorno dopo
ogni giorno|in twee dagen|de volgende dag|elke dag|em dois dias|no dia seguinte|todos os dias
""")

PRAISES = PRAISE | phrases("""
gorgeous|tasty|delicious|yummy|fair|clear|clearly|spotless|clean|comfy|comfortable|comfiest|cosy|cozy|welcoming|welcome
warm welcome|joy|adore|adored|tidy|neat|neatly|decent|clever|handy|useful|effortless|straightforward|painless|stunning
stylish|elegant|generous|affordable|bargain|great value|good value|bone dry|fits perfectly|fits well|fit perfectly
compliments|congratulations|congrats|beaming|superbly|brilliantly|beautifully|wonderfully|excellently|great quality
good quality|high quality|top quality|works well|works fine|works like|well made|well packed|well organised
well organized|early|speedily|hooked|a treat|pleasure|favourite|favorite|fab|ace|magic|gem|heroes|hero|lifesaver|stars
smiling|smile|caring|thoughtful|understanding|considerate|thorough|skilled|expert|trustworthy|honest|sturdy|smart
pleasantly surprised|positively surprised|well explained|good explanation|understandable|understood it|concise
to the point|informative|precise|charming|magnificent|phenomenal|incredible|unbelievably good|unbeatable|faultless
happily|happier|delightful|glad|ta|perfection|well priced|fantastically|dream|ideal|a lovely|bliss|restful|relaxing
sehr schnell|blitzschnell|flott|zugig|punktlich|sauber|lecker|kostlich|bequem|praktisch|ubersichtlich|ubersichtliche
verstandlich|klar
gut erklart|hilfsbereit|aufmerksam|zuvorkommend|herzlich|angenehm|traumhaft|wunderschön|genau richtig|passt|empfehlung
sympathisch|hochwertig|preiswert|gunstig|gern|gerne|beste|bester|bestes|besten|liebe|schöne|schöner|schönes|schönen
tolle|toller|tolles|tollen|nette|netter|nettes|netten|freundliche|freundlicher|freundliches|freundlichen|gute|guter
gutes|guten|super service|perfekte|perfekter|perfektes|kompetente|kompetenter|leckeres|leckere|saubere|schnelle
schneller|schnelles|hervorragende|ausgezeichnete|spitzenmassig|mega|hammer|geil|fair|gelungen|liebevoll|danke euch
chaleureux|chaleureuse|accueillant|accueillante|souriant|souriante|propre|delicieux|delicieuse|confortable|clair|claire
utile|ponctuel|ponctuelle|soigne|soignee|joli|jolie|jolis|beau|belle|super|superbe|genereux|attentif|attentionne
attentionnee|disponible|serviable|competent|competente|competents|bons|bonne|bonnes|excellente|excellents|parfaite
parfaites|rapides|ravis|enchante|enchantee|merveilleux|merveilleuse|fluide|comprehensible|recommande vivement|meilleur
meilleure|meilleurs|meilleures|adore|j'ai adore|aime beaucoup|gentil|gentille|gentils|gentillesse|reactif|reactive
atento|atenta|atentos|limpio|limpia|limpios|limpias|rico|rica|riquisimo|comodo|comoda|claro|clara|util|puntual|bonito
bonita|precioso|preciosa|encantador|encantadora|encantados|buenos|buenas|buen|buenisimo|excelentes|simpatico|simpatica
simpaticos|simpaticas|profesional|profesionales|volveremos|volvere|repetiremos|repetire|recomendables|recomendado
rapidos|rapidas|rapidamente|perfectamente|agradable|acogedor|acogedora|estupendos|fenomenal|chulo|chula|espectacular
ha encantado|han encantado|me ha gustado|me gusto|me gustan|de lujo|feliz|felices|satisfechos|impecable|un acierto
rapidissima|rapidissimo|velocissima|velocissimo|gentilissima|gentilissimo|cortese|cortesi|disponibile|disponibili
pulito|pulita|pulite|puliti|delizioso|deliziosa|buonissimo|buonissima|comodo|comoda|chiaro|chiara|utile|utilissimo
puntuale|puntuali|bello|bella|belli|belle|bellissimo|bellissima|accogliente|ottimi|ottime|buoni|buone|benissimo
complimenti|eccezionale|professionale|professionali|professionalita|tornero|torneremo|preciso|precisi|precisa|simpatici
impeccabile|consigliatissimo|consigliatissima|soddisfatti|soddisfattissimo|felice|felicissima|super|velocemente|bravo
brava|cordialita|gentilezza
vriendelijke|vriendelijkste|goede|snelle|mooie|leuke|fijne|lekker|lekkere|schoon|schone|gezellig|duidelijk|duidelijke
handig|handige|nuttig|overzichtelijk|stipt|perfecte|uitstekende|attent|attente|behulpzame|deskundig|deskundige
klantvriendelijk
vlot|vlotte|soepel|blije|topservice|geweldige|beste|zeer goed|prachtig|prachtige|warm welkom|genoten|toppers|aangenaam
simpaticos|simpaticas|limpo|limpa|limpos|limpas|delicioso|deliciosa|gostoso|gostosa|confortavel|claro|util|pontual
bonito|bonita|lindo|linda|lindos|linda|otimos|otimas|bons|boas|excelentes|rapidos|rapidamente|acolhedor|acolhedora
atenciosos|atenciosas|educados|educado|educada|prestativo|prestativos|prestativa|voltarei|voltaremos|recomendadissimo
amamos|adoramos|gostei muito|gostamos|parabens|perfeitos|sensacional|impecavel|maravilhosos|satisfeitos|encantada
polecam|dziekuje|swietnie|swietny|swietna|swietna|znakomicie|rewelacja|rewelacyjny|bardzo dobrze|dobrze|mila|mily|milo
mila obsluga|szybko|szybka|szybki|sprawnie|profesjonalnie|zadowolony|zadowolona|doskonale|fajny|fajna|fajnie|uprzejmi
bra|jattebra|mycket bra|tack|tack sa mycket|toppen|nojd|snabb|snabbt|trevlig|trevliga|fantastiskt|utmarkt|perfekt
harligt
rekommenderar|smidigt|tak|mange tak|god|godt|rigtig god|hurtig|hurtigt|tilfreds|dejlig|takk|tusen takk|bra service
fornoyd
hyggelig|flink|kiitos|hyva|loistava|mahtava|nopea|ystavallinen|erinomainen|tyytyvainen
""")

# Things, people and days that praise names, and words that say neither good nor bad.
PLAIN = PLAIN_WORDS | words("""
me vivement help schon now shop shops seguro my mine him them their his her who these those some into off down over
through
between than then while until
about came come comes went go goes going took take takes brought ordered order orders bought buy arrived arrive arrives
received used user uses found find looked looks look feels felt explained explains explain told helped answered answer
sent gave give given left picked packed booked visited visit stayed stay tried try ate eat had has been being did does
turned carried put set kept monday tuesday wednesday thursday friday saturday sunday morning evening afternoon night
today yesterday week month year summer winter two three four five ten hour minute seconds second third town city country
husband wife son daughter mum mom dad mother father kids kid children family neighbour dog cat baby colleague colleagues
staff driver courier assistant lady man woman guy lad nurse doctor plumber fitter technician waiter waitress chef
manager
reception receptionist teacher host owner adviser advisor agent agents everybody food meal dinner lunch breakfast coffee
tea cake pizza drinks menu room rooms bed bathroom hotel restaurant place location view garden atmosphere location
price prices value offer offers selection range choice colour color colours size fit design look style material design
page article guide form instructions instruction explanation information layout checkout payment return returns
booking website site communication packaging parcel package box bag shoes boots jacket tent bike phone book dress gloves
rucksack socks shirt coat item items thing things feet colours every each whole many few little bit big new old real
really completely entirely exactly simply just even finally right straight together again with without within inside
car store counter collection desk trip walk holiday evening day days home door time member members pair set article
nur ab bis zum zur vom beim aus nach um pro paket lieferung fahrer versand ware schuhe zelt jacke essen zimmer hotel
bett
fruhstuck techniker verkauferin verkaufer bedienung arzt arztin praxis laden geschaft filiale preis preise auswahl
qualitat form farbe grosse passform verpackung verpackt geliefert angekommen gekauft bestellt bekommen gefunden erklart
aufgebaut beraten geholfen heute gestern montag dienstag mittwoch donnerstag freitag samstag sonntag kinder mann frau
jeden tag nutze benutze tage morgen abend minuten seite artikel anleitung hilfe antwort immer danke euch euer eure ihre
ihrem ihren unser unsere meiner meinem meinen diese dieser dieses dort hier man wird wurde werden kann auf das dem den
als gleich sofort fur alle jedes jeder uberall einem einer eines
colis commande repas chambre chambres hotel restaurant lit vue prix choix couleur taille emballage livreur vendeur
vendeuse serveur serveuse medecin magasin boutique jour jours heure arrive arrivee recu livre acheter achete commandes
avons avez ont etes sommes sur dans par ils elles on se sent notre nos leur leurs chaussures veste qui que ses son sa
deux trois temps suivre reponse article page explication
pedido paquete comida habitacion habitaciones cama desayuno restaurante precio precios ropa talla color calidad envio
repartidor vendedora vendedor camarero camarera medico tienda dia dias hora llego llegaron compre compra comprado recibi
lugar sitio ubicacion ciudad ayuda respuesta articulo pagina nos me te les han hemos estaba estuvo tiempo familia hijos
zapatos botas chaqueta tambien siempre
pacco ordine cibo camera camere letto colazione ristorante prezzo prezzi spedizione corriere commesso commessa cameriere
medico negozio posto citta giorno giorni ora arrivato arrivata arrivati comprato acquistato ricevuto scarpe giacca
taglia
colore imballaggio risposta pagina articolo mi ci si che sono stati sempre anche nel nella su da dal dei delle gli
qualita
pakket bestelling eten kamer kamers bed ontbijt restaurant prijs prijzen bezorger bezorging medewerker medewerkers
winkel
arts dag dagen uur geleverd gekocht besteld ontvangen gekregen gekomen schoenen jas maat kleur verpakking uitleg
antwoord
pagina dame heer man vrouw kinderen door naar ook mee er aan om te uit wat die hun haar wordt werd altijd binnen
geholpen
pedido encomenda comida quarto quartos cama restaurante preco precos entregador vendedor vendedora garcom loja lugar dia
dias hora chegou chegaram comprei compra recebi sapatos tamanho cor embalagem resposta pagina artigo me nos se que ao
pela pelo aos das dos nas nos sempre tambem cidade familia certinho todos
wszystko obsluga i w na z jest bardzo to sie sa paczka dostawa produkt sklep personel pan pani dzien
och jag ar det den en ett med for pa i som alltid allt service personal leverans paket og er til jeg alt
""")
