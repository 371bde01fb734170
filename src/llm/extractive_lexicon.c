/*
 * Words known by heart: stop words and opinions of English, German, French and Spanish, some
 * opinions in Chinese and Japanese, and what turns an opinion round. Sorted by bytes for a
 * binary search; a unit test holds them to it. Opinions are rated from -3 to 3 by hand; a star
 * stands for any ending.
 */
#include "llm/extractive.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
	EN = 1 << TM_EX_ENGLISH,
	DE = 1 << TM_EX_GERMAN,
	FR = 1 << TM_EX_FRENCH,
	ES = 1 << TM_EX_SPANISH,
	AN = TM_EX_ANCHOR,
	AR = TM_EX_ARTICLE
};

struct entry {
	const char *word;
	int value;
};

static const struct entry stop_words[] = {
	{"a", EN | ES | AN | AR}, {"aber", DE}, {"about", EN | AN}, {"above", EN}, {"afin", FR},
	{"after", EN}, {"again", EN}, {"against", EN}, {"ai", FR}, {"al", ES | AN}, {"algo", ES},
	{"alguna", ES}, {"algunas", ES}, {"alguno", ES}, {"algunos", ES}, {"all", EN},
	{"alle", DE}, {"allem", DE}, {"allen", DE}, {"aller", DE}, {"alles", DE}, {"alors", FR},
	{"als", DE}, {"also", EN | DE}, {"although", EN}, {"am", EN | DE},
	{"an", EN | DE | AN | AR}, {"and", EN}, {"andere", DE}, {"anderen", DE}, {"anderer", DE},
	{"anderes", DE}, {"ante", ES}, {"antes", ES}, {"any", EN}, {"après", FR}, {"aquel", ES},
	{"aquella", ES}, {"are", EN}, {"aren't", EN}, {"around", EN}, {"as", EN | FR}, {"así", ES},
	{"at", EN | AN}, {"au", FR | AN}, {"auch", DE}, {"aucun", FR}, {"aucune", FR}, {"auf", DE},
	{"aujourd'hui", FR}, {"aunque", ES}, {"auquel", FR}, {"aus", DE}, {"aussi", FR},
	{"autre", FR}, {"autres", FR}, {"aux", FR | AN}, {"avait", FR}, {"avant", FR},
	{"avec", FR | AN}, {"avez", FR}, {"avoir", FR}, {"avons", FR}, {"aún", ES}, {"bajo", ES},
	{"be", EN}, {"became", EN}, {"because", EN}, {"become", EN}, {"been", EN}, {"before", EN},
	{"bei", DE}, {"beim", DE}, {"being", EN}, {"below", EN}, {"bereits", DE},
	{"between", EN | AN}, {"bien", ES}, {"bin", DE}, {"bis", DE}, {"bist", DE}, {"both", EN},
	{"but", EN}, {"by", EN | AN}, {"c'", FR}, {"cada", ES}, {"can", EN}, {"can't", EN},
	{"cannot", EN}, {"car", FR}, {"casi", ES}, {"ce", FR | AN}, {"cela", FR}, {"celle", FR},
	{"celui", FR}, {"cependant", FR}, {"ces", FR | AN}, {"cet", FR | AN}, {"cette", FR | AN},
	{"ceux", FR}, {"chaque", FR}, {"chez", FR}, {"comme", FR}, {"comment", FR}, {"como", ES},
	{"con", ES | AN}, {"contra", ES}, {"could", EN}, {"couldn't", EN}, {"cual", ES},
	{"cuando", ES}, {"cuanto", ES}, {"cuál", ES}, {"cuándo", ES}, {"cómo", ES},
	{"d'", FR | AN}, {"da", DE}, {"dabei", DE}, {"dadurch", DE}, {"dafür", DE}, {"daher", DE},
	{"damit", DE}, {"danach", DE}, {"dann", DE}, {"dans", FR | AN}, {"daran", DE},
	{"darauf", DE}, {"daraus", DE}, {"darin", DE}, {"darüber", DE}, {"das", DE}, {"dass", DE},
	{"dazu", DE}, {"de", FR | ES | AN}, {"dein", DE}, {"deine", DE}, {"del", ES | AN},
	{"dem", DE}, {"den", DE}, {"denn", DE}, {"depuis", FR}, {"der", DE}, {"deren", DE},
	{"des", DE | FR | AN}, {"desde", ES}, {"después", ES}, {"dessen", DE}, {"deux", FR},
	{"did", EN}, {"didn't", EN}, {"die", DE}, {"dies", DE}, {"diese", DE}, {"diesem", DE},
	{"diesen", DE}, {"dieser", DE}, {"dieses", DE}, {"do", EN}, {"doch", DE}, {"does", EN},
	{"doesn't", EN}, {"doing", EN}, {"doit", FR}, {"don't", EN}, {"donc", FR}, {"donde", ES},
	{"done", EN}, {"dont", FR}, {"dort", DE}, {"dos", ES}, {"down", EN}, {"du", DE | FR | AN},
	{"durante", ES}, {"durch", DE}, {"during", EN}, {"dónde", ES}, {"e", ES},
	{"each", EN | AN}, {"eben", DE}, {"ein", DE}, {"eine", DE}, {"einem", DE}, {"einen", DE},
	{"einer", DE}, {"eines", DE}, {"einige", DE}, {"einigen", DE}, {"einmal", DE},
	{"either", EN}, {"el", ES | AN}, {"ella", ES}, {"ellas", ES}, {"elle", FR}, {"elles", FR},
	{"ellos", ES}, {"else", EN}, {"en", FR | ES | AN}, {"encore", FR}, {"entonces", ES},
	{"entre", FR | ES}, {"er", DE}, {"era", ES}, {"eran", ES}, {"es", DE | ES},
	{"esa", ES | AN}, {"esas", ES}, {"ese", ES | AN}, {"eso", ES}, {"esos", ES}, {"est", FR},
	{"esta", ES | AN}, {"estar", ES}, {"estas", ES | AN}, {"este", ES | AN}, {"esto", ES},
	{"estos", ES | AN}, {"está", ES}, {"están", ES}, {"et", FR}, {"etwa", DE}, {"etwas", DE},
	{"eu", FR}, {"euch", DE}, {"euer", DE}, {"eux", FR}, {"even", EN}, {"ever", EN},
	{"every", EN | AN}, {"faire", FR}, {"fait", FR}, {"few", EN}, {"fois", FR}, {"font", FR},
	{"for", EN | AN}, {"from", EN | AN}, {"fue", ES}, {"fueron", ES}, {"further", EN},
	{"für", DE}, {"gegen", DE}, {"get", EN}, {"gets", EN}, {"gibt", DE}, {"got", EN},
	{"ha", ES}, {"hab", DE}, {"habe", DE}, {"haben", DE}, {"había", ES}, {"habían", ES},
	{"hace", ES}, {"hacia", ES}, {"had", EN}, {"hadn't", EN}, {"han", ES}, {"has", EN},
	{"hasn't", EN}, {"hasta", ES}, {"hat", DE}, {"hatte", DE}, {"hatten", DE}, {"have", EN},
	{"haven't", EN}, {"having", EN}, {"hay", ES}, {"he", EN}, {"he's", EN},
	{"her", EN | AN | AR}, {"here", EN}, {"hers", EN}, {"herself", EN}, {"hier", DE},
	{"him", EN}, {"himself", EN}, {"hin", DE}, {"hinter", DE}, {"his", EN | AN | AR},
	{"hors", FR}, {"how", EN}, {"however", EN}, {"i", EN}, {"i'd", EN}, {"i'll", EN},
	{"i'm", EN}, {"i've", EN}, {"ich", DE}, {"if", EN}, {"ihm", DE}, {"ihn", DE},
	{"ihnen", DE}, {"ihr", DE}, {"ihre", DE}, {"ihrem", DE}, {"ihren", DE}, {"ihrer", DE},
	{"il", FR}, {"ils", FR}, {"im", DE}, {"immer", DE}, {"in", EN | DE | AN}, {"incluso", ES},
	{"indem", DE}, {"ins", DE}, {"into", EN | AN}, {"is", EN}, {"isn't", EN}, {"ist", DE},
	{"it", EN}, {"it's", EN}, {"its", EN | AN | AR}, {"itself", EN}, {"j'", FR}, {"ja", DE},
	{"jamais", FR}, {"je", FR}, {"jede", DE}, {"jedem", DE}, {"jeden", DE}, {"jeder", DE},
	{"jedes", DE}, {"jedoch", DE}, {"jetzt", DE}, {"just", EN}, {"kann", DE}, {"kein", DE},
	{"keine", DE}, {"keinem", DE}, {"keinen", DE}, {"keiner", DE}, {"können", DE},
	{"könnte", DE}, {"l'", FR | AN}, {"la", FR | ES | AN}, {"las", ES | AN}, {"last", EN},
	{"le", FR | ES | AN}, {"least", EN}, {"les", FR | ES | AN}, {"less", EN}, {"let", EN},
	{"leur", FR | AN}, {"leurs", FR | AN}, {"like", EN}, {"lo", ES}, {"lors", FR},
	{"lorsque", FR}, {"los", ES | AN}, {"lui", FR}, {"m'", FR}, {"ma", FR}, {"made", EN},
	{"mais", FR}, {"make", EN}, {"makes", EN}, {"man", DE}, {"many", EN}, {"may", EN},
	{"me", EN | ES}, {"mehr", DE}, {"mein", DE}, {"meine", DE}, {"mes", FR}, {"mi", ES},
	{"mich", DE}, {"mientras", ES}, {"might", EN}, {"mir", DE}, {"mis", ES}, {"misma", ES},
	{"mismo", ES}, {"mit", DE}, {"moi", FR}, {"moins", FR}, {"mon", FR}, {"more", EN},
	{"most", EN}, {"much", EN}, {"muchas", ES}, {"mucho", ES}, {"muchos", ES}, {"muss", DE},
	{"must", EN}, {"muy", ES}, {"my", EN | AN | AR}, {"myself", EN}, {"más", ES}, {"même", FR},
	{"mêmes", FR}, {"müssen", DE}, {"n'", FR}, {"nach", DE}, {"nada", ES}, {"ne", FR},
	{"near", EN}, {"neben", DE}, {"nein", DE}, {"neither", EN}, {"never", EN}, {"new", EN},
	{"ni", FR | ES}, {"nicht", DE}, {"nichts", DE}, {"no", EN | ES}, {"noch", DE}, {"non", FR},
	{"nor", EN}, {"nos", FR | ES | AN}, {"nosotros", ES}, {"not", EN}, {"notre", FR | AN},
	{"nous", FR}, {"now", EN}, {"nuestra", ES | AN}, {"nuestro", ES | AN}, {"nun", DE},
	{"nunca", ES}, {"nur", DE}, {"o", ES}, {"ob", DE}, {"oder", DE}, {"of", EN | AN},
	{"off", EN}, {"often", EN}, {"ohne", DE}, {"on", EN | FR | AN}, {"once", EN}, {"one", EN},
	{"only", EN}, {"ont", FR}, {"onto", EN}, {"or", EN}, {"os", ES}, {"other", EN},
	{"others", EN}, {"otra", ES}, {"otras", ES}, {"otro", ES}, {"otros", ES}, {"ou", FR},
	{"our", EN | AN | AR}, {"ours", EN}, {"out", EN}, {"over", EN | AN}, {"own", EN},
	{"où", FR}, {"par", FR | AN}, {"para", ES | AN}, {"parce", FR}, {"parfois", FR},
	{"pas", FR}, {"pendant", FR}, {"per", EN}, {"pero", ES}, {"peu", FR}, {"peut", FR},
	{"peuvent", FR}, {"plus", FR}, {"plusieurs", FR}, {"poco", ES}, {"por", ES | AN},
	{"porque", ES}, {"pour", FR | AN}, {"pourquoi", FR}, {"près", FR}, {"puede", ES},
	{"pueden", ES}, {"pues", ES}, {"puis", FR}, {"qu'", FR}, {"quand", FR}, {"que", FR | ES},
	{"quel", FR}, {"quelle", FR}, {"quelles", FR}, {"quels", FR}, {"qui", FR}, {"quien", ES},
	{"quienes", ES}, {"quite", EN}, {"quién", ES}, {"quoi", FR}, {"qué", ES}, {"rather", EN},
	{"really", EN}, {"s'", FR}, {"sa", FR | AN}, {"said", EN}, {"same", EN}, {"sans", FR},
	{"say", EN}, {"says", EN}, {"schon", DE}, {"se", FR | ES}, {"sea", ES}, {"según", ES},
	{"sehr", DE}, {"sein", DE}, {"seine", DE}, {"seinem", DE}, {"seinen", DE}, {"seiner", DE},
	{"seit", DE}, {"ser", ES}, {"sera", FR}, {"será", ES}, {"ses", FR | AN}, {"she", EN},
	{"she's", EN}, {"should", EN}, {"shouldn't", EN}, {"si", FR | ES}, {"sich", DE},
	{"sido", ES}, {"sie", DE}, {"siempre", ES}, {"sien", FR}, {"sin", ES}, {"since", EN},
	{"sind", DE}, {"sino", ES}, {"so", EN | DE}, {"sobre", ES | AN}, {"sogar", DE},
	{"soit", FR}, {"solche", DE}, {"soll", DE}, {"sollen", DE}, {"sollte", DE}, {"solo", ES},
	{"some", EN | AN}, {"son", FR | ES | AN}, {"sondern", DE}, {"sont", FR}, {"sous", FR},
	{"sowie", DE}, {"still", EN}, {"su", ES | AN}, {"such", EN}, {"sur", FR | AN},
	{"sus", ES | AN}, {"sí", ES}, {"sólo", ES}, {"t'", FR}, {"ta", FR}, {"take", EN},
	{"también", ES}, {"tan", ES}, {"tandis", FR}, {"tanto", ES}, {"te", FR | ES}, {"tes", FR},
	{"than", EN}, {"that", EN | AN | AR}, {"that's", EN}, {"the", EN | AN | AR},
	{"their", EN | AN | AR}, {"theirs", EN}, {"them", EN}, {"themselves", EN}, {"then", EN},
	{"there", EN}, {"there's", EN}, {"therefore", EN}, {"these", EN | AN | AR}, {"they", EN},
	{"they're", EN}, {"this", EN | AN | AR}, {"those", EN | AN | AR}, {"though", EN},
	{"through", EN | AN}, {"thus", EN}, {"tiene", ES}, {"tienen", ES}, {"to", EN},
	{"toda", ES}, {"todas", ES}, {"today", EN}, {"todo", ES}, {"todos", ES}, {"together", EN},
	{"toi", FR}, {"ton", FR}, {"too", EN}, {"toujours", FR}, {"tous", FR}, {"tout", FR},
	{"toute", FR}, {"toutes", FR}, {"toward", EN}, {"towards", EN}, {"tras", ES}, {"trop", FR},
	{"très", FR}, {"tu", FR | ES}, {"tus", ES}, {"two", EN}, {"u", ES}, {"um", DE},
	{"un", FR | ES | AN}, {"una", ES | AN}, {"unas", ES | AN}, {"und", DE}, {"under", EN | AN},
	{"une", FR | AN}, {"uno", ES}, {"unos", ES | AN}, {"uns", DE}, {"unser", DE},
	{"unter", DE}, {"until", EN}, {"up", EN}, {"upon", EN}, {"us", EN}, {"use", EN},
	{"used", EN}, {"using", EN}, {"vers", FR}, {"very", EN}, {"via", EN}, {"viel", DE},
	{"viele", DE}, {"vielen", DE}, {"vom", DE}, {"von", DE}, {"vor", DE}, {"votre", FR},
	{"vous", FR}, {"wann", DE}, {"war", DE}, {"waren", DE}, {"warum", DE}, {"was", EN | DE},
	{"wasn't", EN}, {"way", EN}, {"we", EN}, {"we're", EN}, {"weil", DE}, {"weiter", DE},
	{"welche", DE}, {"welcher", DE}, {"welches", DE}, {"well", EN}, {"wenn", DE}, {"wer", DE},
	{"werde", DE}, {"werden", DE}, {"were", EN}, {"weren't", EN}, {"what", EN}, {"what's", EN},
	{"when", EN}, {"where", EN}, {"whether", EN}, {"which", EN}, {"while", EN}, {"who", EN},
	{"whom", EN}, {"whose", EN}, {"why", EN}, {"wie", DE}, {"wieder", DE}, {"will", EN},
	{"wir", DE}, {"wird", DE}, {"with", EN | AN}, {"within", EN}, {"without", EN}, {"wo", DE},
	{"won't", EN}, {"would", EN}, {"wouldn't", EN}, {"wurde", DE}, {"wurden", DE},
	{"während", DE}, {"würde", DE}, {"y", FR | ES}, {"ya", ES}, {"yes", EN}, {"yet", EN},
	{"yo", ES}, {"you", EN}, {"you're", EN}, {"your", EN | AN | AR}, {"yours", EN},
	{"yourself", EN}, {"zu", DE}, {"zum", DE}, {"zur", DE}, {"zwar", DE}, {"zwei", DE},
	{"zwischen", DE}, {"à", FR}, {"él", ES}, {"étaient", FR}, {"était", FR}, {"été", FR},
	{"être", FR}, {"über", DE},
};

static const struct entry opinions[] = {
	{"abscheulich*", -3}, {"aburrid*", -2}, {"abuse*", -2}, {"abysmal", -3}, {"accurate", 2},
	{"admirabl*", 2}, {"adorable", 2}, {"adore*", 3}, {"affordable", 2}, {"affreu*", -3},
	{"afraid", -2}, {"aggressive", -2}, {"agradable*", 2}, {"agréable*", 2}, {"aimable*", 2},
	{"aime", 2}, {"aimer", 2}, {"aimé", 2}, {"alegr*", 2}, {"amable*", 2}, {"amazed", 3},
	{"amazing", 3}, {"angenehm*", 2}, {"anger", -2}, {"angry", -2}, {"angst", -2},
	{"annoy*", -2}, {"anxious", -2}, {"appalling", -3}, {"appreciat*", 2}, {"asco*", -3},
	{"ashamed", -2}, {"atroce*", -3}, {"atrocious", -3}, {"attack*", -2}, {"attractive", 2},
	{"ausgezeichnet*", 3}, {"awesome", 3}, {"awful", -3}, {"awfully", -3}, {"bad", -2},
	{"badly", -2}, {"beau", 2}, {"beautiful*", 2}, {"beaux", 2}, {"begeister*", 3},
	{"belle", 2}, {"belles", 2}, {"beneficial", 2}, {"benefit", 2}, {"benefits", 2},
	{"besser*", 1}, {"best", 3}, {"beste", 2}, {"besten", 2}, {"bester", 2}, {"bestes", 2},
	{"better", 1}, {"bitter", -2}, {"bon", 2}, {"bonheur", 2}, {"bonit*", 2}, {"bonne", 2},
	{"bonnes", 2}, {"bons", 2}, {"boring", -2}, {"breathtaking", 3}, {"bright", 2},
	{"brilliant", 3}, {"broken", -2}, {"buen", 2}, {"buena", 2}, {"buenas", 2}, {"bueno", 2},
	{"buenos", 2}, {"bug", -2}, {"buggy", -2}, {"bugs", -2}, {"calm", 1}, {"cara", -2},
	{"caro", -2}, {"cassé*", -2}, {"catastroph*", -3}, {"chaleureu*", 2}, {"charming", 2},
	{"cheat*", -2}, {"cheerful", 2}, {"cher", -2}, {"chère", -2}, {"clean", 1}, {"clear", 1},
	{"clever", 1}, {"cold", -1}, {"colère", -2}, {"comfortable", 2}, {"complain*", -2},
	{"complaint*", -2}, {"complicated", -1}, {"concern*", -1}, {"confus*", -2},
	{"congratulat*", 2}, {"contenta", 2}, {"contente", 2}, {"contento", 2}, {"convenient", 2},
	{"corrupt*", -2}, {"cozy", 2}, {"crash*", -2}, {"creative", 2}, {"cruel", -2},
	{"cómod*", 2}, {"damage*", -2}, {"danger*", -2}, {"dankbar*", 2}, {"dead", -2},
	{"death", -2}, {"decepcion*", -2}, {"defect*", -2}, {"defectuos*", -2}, {"defekt*", -2},
	{"delay*", -2}, {"delicios*", 2}, {"delicious", 2}, {"delight*", 2}, {"delighted", 3},
	{"denial", -2}, {"denied", -2}, {"depress*", -2}, {"desagradable*", -2}, {"desastr*", -3},
	{"despise*", -3}, {"destroy*", -2}, {"difficile*", -2}, {"difficult*", -1}, {"dirty", -2},
	{"disappoint*", -2}, {"disaster*", -3}, {"disgust*", -3}, {"dishonest", -2},
	{"dislike*", -2}, {"dissatisf*", -2}, {"doubt*", -1}, {"dreadful", -3}, {"dull", -2},
	{"décevant*", -2}, {"dégoût*", -3}, {"délicieu*", 2}, {"désagréable*", -2},
	{"déteste*", -3}, {"déçu*", -2}, {"easily", 1}, {"easy", 1}, {"effective", 2},
	{"efficace*", 2}, {"efficient*", 2}, {"eficaz*", 2}, {"eficiente*", 2}, {"einfach*", 1},
	{"elegant", 2}, {"empfehl*", 2}, {"encanta*", 3}, {"encantó", 3}, {"encouraging", 2},
	{"enfad*", -2}, {"engaging", 2}, {"enjoy*", 2}, {"ennuy*", -2}, {"enoj*", -2},
	{"enthusias*", 2}, {"entsetzlich*", -3}, {"enttäusch*", -2}, {"erfolg*", 2},
	{"erreur*", -2}, {"error", -2}, {"errors", -2}, {"espantos*", -3}, {"espectacular*", 3},
	{"estupend*", 3}, {"excelente*", 3}, {"excellent*", 3}, {"exceptional", 3},
	{"exceptionally", 3}, {"exceptionnel*", 3}, {"excited", 2}, {"excitement", 2},
	{"exciting", 2}, {"expensive", -2}, {"fabulous", 2}, {"fail*", -2}, {"fair", 1},
	{"fake", -2}, {"fallo", -2}, {"fallos", -2}, {"fantastic", 3}, {"fantastique*", 3},
	{"fantastisch*", 3}, {"fantástic*", 3}, {"fast", 2}, {"favorite", 2}, {"favourite", 2},
	{"fear*", -2}, {"fehler*", -2}, {"felices", 2}, {"feliz", 2}, {"filthy", -2},
	{"flaw*", -2}, {"flawless", 3}, {"formidable*", 3}, {"fraud*", -3}, {"fresh", 1},
	{"freude", 2}, {"freuen", 2}, {"freundlich*", 2}, {"friendly", 2}, {"froh*", 2},
	{"frustrat*", -2}, {"fun", 2}, {"furchtbar*", -3}, {"furious", -2}, {"fâch*", -2},
	{"gain", 1}, {"gains", 1}, {"gelungen*", 2}, {"generous", 2}, {"genial*", 3},
	{"gentil", 2}, {"gentille", 2}, {"gentils", 2}, {"gern", 2}, {"gerne", 2}, {"glad", 2},
	{"gloomy", -2}, {"glück*", 2}, {"good", 2}, {"gorgeous", 2}, {"gracias", 2},
	{"grandios*", 3}, {"grateful", 2}, {"grauenhaft*", -3}, {"great", 2}, {"greatly", 2},
	{"grief", -2}, {"growth", 1}, {"großartig*", 3}, {"guilty", -2}, {"gusta", 2},
	{"gustó", 2}, {"gut", 2}, {"gute", 2}, {"guten", 2}, {"guter", 2}, {"gutes", 2},
	{"génial*", 3}, {"happily", 2}, {"happiness", 2}, {"happy", 2}, {"harmed", -2},
	{"harmful", -2}, {"hasse", -3}, {"hassen", -3}, {"hate", -3}, {"hated", -3}, {"hates", -3},
	{"hating", -3}, {"healthy", 1}, {"helpful", 2}, {"helpless", -2}, {"hermos*", 2},
	{"hervorragend*", 3}, {"heureu*", 2}, {"hilfreich*", 2}, {"honest", 2}, {"honte*", -2},
	{"hope", 2}, {"hopeful", 2}, {"hopeless", -2}, {"horrible*", -3}, {"horribly", -3},
	{"horrific", -3}, {"hostile", -2}, {"hurt*", -2}, {"hübsch*", 2}, {"ignored", -2},
	{"impress*", 2}, {"improv*", 2}, {"inacceptable*", -2}, {"inadequate", -2},
	{"incompetent", -2}, {"inconvenien*", -2}, {"incredible", 3}, {"incredibly", 3},
	{"increíble*", 3}, {"incómod*", -2}, {"inferior", -2}, {"injur*", -2}, {"innovative", 2},
	{"insatisf*", -2}, {"inspir*", 2}, {"insult*", -2}, {"interesante*", 2},
	{"interessant*", 2}, {"interesting", 1}, {"intuitive", 2}, {"intéressant*", 2},
	{"inutile*", -2}, {"inútil*", -2}, {"joie", 2}, {"joli", 2}, {"jolie", 2}, {"jolis", 2},
	{"joy*", 2}, {"kaputt*", -2}, {"katastroph*", -3}, {"kindness", 2}, {"klar*", 1},
	{"köstlich*", 2}, {"lack", -1}, {"lacking", -1}, {"lacks", -1}, {"lament*", -2},
	{"langsam*", -2}, {"langweilig*", -2}, {"late", -1}, {"lecker*", 2}, {"leicht*", 1},
	{"leider", -2}, {"lent*", -2}, {"lie", -2}, {"liebe", 3}, {"liebt", 3}, {"lies", -2},
	{"lobens*", 2}, {"lonely", -2}, {"lose", -2}, {"loses", -2}, {"losing", -2}, {"loss", -2},
	{"losses", -2}, {"lost", -2}, {"love", 3}, {"loved", 3}, {"lovely", 3}, {"loves", 3},
	{"loving", 3}, {"magnificent", 3}, {"magnifique*", 3}, {"magnífic*", 3}, {"mal", -2},
	{"mala", -2}, {"malas", -2}, {"malheureu*", -2}, {"malo", -2}, {"malos", -2},
	{"mangelhaft*", -2}, {"maravillos*", 3}, {"marvellous", 3}, {"marvelous", 3},
	{"masterpiece", 3}, {"mauvais*", -2}, {"mediocre", -2}, {"meilleur*", 3}, {"mejor*", 2},
	{"merci", 2}, {"merveilleu*", 3}, {"mess", -2}, {"messy", -2}, {"miedo", -2},
	{"mies*", -2}, {"misleading", -2}, {"missed", -1}, {"missing", -1}, {"mistake*", -2},
	{"molest*", -2}, {"mécontent*", -2}, {"médiocre*", -2}, {"nasty", -2}, {"negative", -2},
	{"nervig*", -2}, {"nervt", -2}, {"nett", 2}, {"nette", 2}, {"netten", 2}, {"netter", 2},
	{"nettes", 2}, {"nice", 2}, {"nicely", 2}, {"nightmare", -3}, {"noisy", -2}, {"nulle", -3},
	{"nutzlos*", -2}, {"odia", -3}, {"odio", -3}, {"ok", 1}, {"okay", 1}, {"optimis*", 2},
	{"outrageous", -3}, {"outstanding", 3}, {"overpriced", -2}, {"pain", -2}, {"painful", -2},
	{"pains", -2}, {"panic", -2}, {"panne*", -2}, {"parfait*", 3}, {"passionate", 2},
	{"pathetic", -3}, {"peaceful", 2}, {"peor*", -3}, {"perdu*", -2}, {"perfect", 3},
	{"perfecta", 3}, {"perfectas", 3}, {"perfectly", 3}, {"perfecto", 3}, {"perfectos", 3},
	{"perfekt*", 3}, {"peur*", -2}, {"phenomenal", 3}, {"pire", -3}, {"plaisir", 2},
	{"pleasant", 2}, {"pleased", 2}, {"pleasure", 2}, {"polite", 2}, {"poor", -2},
	{"poorly", -2}, {"popular", 2}, {"positive", 2}, {"praise*", 2}, {"praktisch*", 2},
	{"problem", -2}, {"problema*", -2}, {"problemati*", -1}, {"probleme", -2},
	{"problems", -2}, {"problème*", -2}, {"professional", 2}, {"promising", 2}, {"proud", 2},
	{"pénible*", -2}, {"pérdida*", -2}, {"pésim*", -3}, {"queja*", -2}, {"quick", 2},
	{"rapide*", 2}, {"ravi", 2}, {"ravie", 2}, {"recomend*", 2}, {"recommande*", 2},
	{"recommend", 2}, {"recommended", 2}, {"regret*", -2}, {"regrett*", -2}, {"reject*", -2},
	{"reliab*", 2}, {"remarkable", 2}, {"rewarding", 2}, {"risk*", -1}, {"robust", 2},
	{"rota", -2}, {"roto", -2}, {"rough", -1}, {"rude", -2}, {"ruin*", -2}, {"rápid*", 2},
	{"réussi*", 2}, {"sad", -2}, {"sadly", -2}, {"sadness", -2}, {"safe", 2}, {"satisf*", 2},
	{"satisfait*", 2}, {"satisfech*", 2}, {"sauber*", 1}, {"scam", -3}, {"schade", -2},
	{"schaden", -2}, {"schlecht*", -2}, {"schlimm*", -2}, {"schmutzig*", -2},
	{"schrecklich*", -3}, {"schwach*", -2}, {"schön*", 2}, {"segura", 2}, {"seguro", 2},
	{"sicher*", 2}, {"sick", -2}, {"slow", -2}, {"slowly", -2}, {"smooth", 2}, {"smoothly", 2},
	{"solid", 2}, {"sorry", -2}, {"spaß", 2}, {"spectacular", 3}, {"splendide*", 3},
	{"stale", -1}, {"stark*", 2}, {"stolen", -2}, {"strange", -1}, {"stress*", -2},
	{"strong", 2}, {"struggl*", -2}, {"stunning", 3}, {"stupid", -2}, {"succeed*", 2},
	{"success*", 2}, {"suci*", -2}, {"suffer*", -2}, {"super", 2}, {"superb", 3},
	{"superbe*", 3}, {"superior", 2}, {"sweet", 2}, {"sympa*", 2}, {"talented", 2},
	{"tasty", 2}, {"terrible*", -3}, {"terribly", -3}, {"terrific", 3}, {"terrified", -2},
	{"teuer*", -2}, {"thank", 2}, {"thanks", 2}, {"threat*", -2}, {"thrilled", 3},
	{"tired", -2}, {"toll", 3}, {"tolle", 3}, {"tollen", 3}, {"toller", 3}, {"tolles", 3},
	{"tough", -1}, {"tragedy", -2}, {"tragic", -2}, {"traumhaft*", 3}, {"traurig*", -2},
	{"triste*", -2}, {"trouble*", -2}, {"trust*", 2}, {"ugly", -2}, {"unable", -2},
	{"unacceptable", -3}, {"unangenehm*", -2}, {"unbrauchbar*", -2}, {"uncertain*", -1},
	{"unclear", -1}, {"uncomfortable", -2}, {"unerträglich*", -3}, {"unfair", -2},
	{"unforgettable", 3}, {"unfortunate*", -2}, {"unfreundlich*", -2}, {"unhappy", -2},
	{"unhelpful", -2}, {"unpleasant", -2}, {"unreliable", -2}, {"unsafe", -2},
	{"unusable", -2}, {"unverschämt*", -2}, {"unzufrieden*", -2}, {"upset", -2}, {"useful", 1},
	{"useless", -2}, {"utile*", 2}, {"valuable", 2}, {"verlust*", -2}, {"versag*", -2},
	{"verärger*", -2}, {"victim*", -2}, {"vile", -3}, {"violen*", -2}, {"warm", 2},
	{"waste*", -2}, {"weak", -2}, {"welcom*", 2}, {"winner", 2}, {"winning", 2}, {"won", 2},
	{"wonderful", 3}, {"wonderfully", 3}, {"works", 1}, {"worried", -2}, {"worry", -2},
	{"worrying", -2}, {"worse", -2}, {"worst", -3}, {"worth", 2}, {"worthless", -3},
	{"worthy", 2}, {"wrong", -2}, {"wunderbar*", 3}, {"wunderschön*", 3}, {"wütend*", -2},
	{"zufrieden*", 2}, {"zuverlässig*", 2}, {"ärger*", -2}, {"épouvantable*", -3},
	{"éxito*", 2}, {"útil*", 2}, {"丁寧", 2}, {"不便", -2}, {"不快", -2}, {"不満", -2}, {"优秀", 3},
	{"伤心", -2}, {"便利", 2}, {"可怕", -3}, {"問題", -2}, {"喜欢", 2}, {"垃圾", -3}, {"太棒", 3},
	{"失敗", -2}, {"失望", -2}, {"失败", -2}, {"好吃", 2}, {"完美", 3}, {"幸福", 2}, {"开心", 2}, {"很棒", 3},
	{"快乐", 2}, {"快適", 2}, {"恶心", -3}, {"感動", 2}, {"感谢", 2}, {"成功", 2}, {"投诉", -2}, {"抱怨", -2},
	{"推荐", 2}, {"故障", -2}, {"方便", 2}, {"最低", -3}, {"最差", -3}, {"最悪", -3}, {"最高", 3},
	{"残念", -2}, {"浪费", -2}, {"満足", 2}, {"满意", 2}, {"漂亮", 2}, {"生气", -2}, {"精彩", 3}, {"糟糕", -3},
	{"素晴", 3}, {"美味", 2}, {"舒适", 2}, {"苦情", -2}, {"親切", 2}, {"讨厌", -2}, {"退屈", -2}, {"问题", -2},
	{"难吃", -2}, {"难过", -2}, {"高兴", 2}, {"麻烦", -2},
};

static const struct entry turns[] = {
	{"aber", TM_EX_CONTRASTS}, {"absolut", TM_EX_STRENGTHENS},
	{"absolutamente", TM_EX_STRENGTHENS}, {"absolutely", TM_EX_STRENGTHENS},
	{"almost", TM_EX_WEAKENS}, {"although", TM_EX_CONTRASTS}, {"assez", TM_EX_WEAKENS},
	{"aucun", TM_EX_NEGATES}, {"aucune", TM_EX_NEGATES}, {"barely", TM_EX_NEGATES},
	{"besonders", TM_EX_STRENGTHENS}, {"bit", TM_EX_WEAKENS}, {"but", TM_EX_CONTRASTS},
	{"cannot", TM_EX_NEGATES}, {"cependant", TM_EX_CONTRASTS},
	{"completely", TM_EX_STRENGTHENS}, {"deeply", TM_EX_STRENGTHENS},
	{"definitely", TM_EX_STRENGTHENS}, {"demasiado", TM_EX_STRENGTHENS},
	{"entirely", TM_EX_STRENGTHENS}, {"especially", TM_EX_STRENGTHENS},
	{"etwas", TM_EX_WEAKENS}, {"exceptionally", TM_EX_STRENGTHENS},
	{"extrem", TM_EX_STRENGTHENS}, {"extremadamente", TM_EX_STRENGTHENS},
	{"extremely", TM_EX_STRENGTHENS}, {"extrêmement", TM_EX_STRENGTHENS},
	{"fairly", TM_EX_WEAKENS}, {"hardly", TM_EX_NEGATES}, {"highly", TM_EX_STRENGTHENS},
	{"however", TM_EX_CONTRASTS}, {"hugely", TM_EX_STRENGTHENS},
	{"incredibly", TM_EX_STRENGTHENS}, {"insanely", TM_EX_STRENGTHENS},
	{"jamais", TM_EX_NEGATES}, {"jedoch", TM_EX_CONTRASTS}, {"kaum", TM_EX_NEGATES},
	{"kein", TM_EX_NEGATES}, {"keine", TM_EX_NEGATES}, {"keinem", TM_EX_NEGATES},
	{"keinen", TM_EX_NEGATES}, {"keiner", TM_EX_NEGATES}, {"keines", TM_EX_NEGATES},
	{"kinda", TM_EX_WEAKENS}, {"mais", TM_EX_CONTRASTS}, {"mildly", TM_EX_WEAKENS},
	{"moderately", TM_EX_WEAKENS}, {"muy", TM_EX_STRENGTHENS}, {"n'", TM_EX_NEGATES},
	{"nada", TM_EX_NEGATES}, {"neither", TM_EX_NEGATES}, {"never", TM_EX_NEGATES},
	{"nevertheless", TM_EX_CONTRASTS}, {"nicht", TM_EX_NEGATES}, {"nichts", TM_EX_NEGATES},
	{"nie", TM_EX_NEGATES}, {"niemals", TM_EX_NEGATES}, {"no", TM_EX_NEGATES},
	{"nobody", TM_EX_NEGATES}, {"non", TM_EX_NEGATES}, {"none", TM_EX_NEGATES},
	{"nor", TM_EX_NEGATES}, {"not", TM_EX_NEGATES}, {"nothing", TM_EX_NEGATES},
	{"nowhere", TM_EX_NEGATES}, {"nunca", TM_EX_NEGATES}, {"obwohl", TM_EX_CONTRASTS},
	{"ohne", TM_EX_NEGATES}, {"particularly", TM_EX_STRENGTHENS}, {"partly", TM_EX_WEAKENS},
	{"pas", TM_EX_NEGATES}, {"pero", TM_EX_CONTRASTS}, {"peu", TM_EX_WEAKENS},
	{"poco", TM_EX_WEAKENS}, {"pourtant", TM_EX_CONTRASTS}, {"quite", TM_EX_STRENGTHENS},
	{"rarely", TM_EX_NEGATES}, {"really", TM_EX_STRENGTHENS}, {"realmente", TM_EX_STRENGTHENS},
	{"relativ", TM_EX_WEAKENS}, {"relatively", TM_EX_WEAKENS}, {"sans", TM_EX_NEGATES},
	{"scarcely", TM_EX_NEGATES}, {"sehr", TM_EX_STRENGTHENS}, {"seldom", TM_EX_NEGATES},
	{"sin", TM_EX_NEGATES}, {"sino", TM_EX_CONTRASTS}, {"slightly", TM_EX_WEAKENS},
	{"so", TM_EX_STRENGTHENS}, {"somewhat", TM_EX_WEAKENS}, {"super", TM_EX_STRENGTHENS},
	{"tampoco", TM_EX_NEGATES}, {"teilweise", TM_EX_WEAKENS}, {"though", TM_EX_CONTRASTS},
	{"total", TM_EX_STRENGTHENS}, {"totalement", TM_EX_STRENGTHENS},
	{"totally", TM_EX_STRENGTHENS}, {"totalmente", TM_EX_STRENGTHENS},
	{"truly", TM_EX_STRENGTHENS}, {"très", TM_EX_STRENGTHENS},
	{"unglaublich", TM_EX_STRENGTHENS}, {"utterly", TM_EX_STRENGTHENS},
	{"very", TM_EX_STRENGTHENS}, {"vraiment", TM_EX_STRENGTHENS},
	{"wirklich", TM_EX_STRENGTHENS}, {"without", TM_EX_NEGATES}, {"yet", TM_EX_CONTRASTS},
	{"äußerst", TM_EX_STRENGTHENS},
};

static int by_word(const void *key, const void *entry)
{
	return strcmp(key, ((const struct entry *)entry)->word);
}

static const struct entry *look_up(const char *word, const struct entry *table, size_t count)
{
	return bsearch(word, table, count, sizeof(*table), by_word);
}

unsigned tm_ex_stop_word(const char *folded)
{
	const struct entry *found = NULL;

	if ((unsigned char)folded[0] < 0xE0)	/* they are of the Latin script */
		found = look_up(folded, stop_words, COUNT(stop_words));
	return found ? (unsigned)found->value : 0;
}

/* Compares a word with an entry's, the star aside; *matches when it is the entry's or, where
 * there is a star, begins with it. */
static int compare(const char *word, const char *entry, bool *matches)
{
	int order = (unsigned char)word[0] - (unsigned char)entry[0];
	size_t len;

	*matches = false;
	if (order)
		return order;
	len = strcspn(entry, "*");
	order = strncmp(word, entry, len);
	*matches = order == 0 && (entry[len] == '*' || word[len] == '\0');
	return order ? order : word[len] != '\0';
}

int tm_ex_opinion(const char *folded)
{
	size_t low = 0, high = COUNT(opinions);
	bool matches;

	while (low < high) {	/* ends at the first entry behind the word */
		size_t middle = (low + high) / 2;

		if (compare(folded, opinions[middle].word, &matches) >= 0)
			low = middle + 1;
		else
			high = middle;
	}
	/* What the word begins with sorts before it, the longest last, and nothing between them
	 * begins otherwise; no star stands behind fewer than three letters. */
	while (low-- > 0) {
		(void)compare(folded, opinions[low].word, &matches);
		if (matches)
			return opinions[low].value;
		if (strncmp(opinions[low].word, folded, 3) != 0)
			break;
	}
	return 0;
}

enum tm_ex_turn tm_ex_turn_of(const char *folded)
{
	size_t len = strlen(folded);
	const struct entry *found = look_up(folded, turns, COUNT(turns));

	if (found)
		return (enum tm_ex_turn)found->value;
	if (len > 3 && strcmp(folded + len - 3, "n't") == 0)
		return TM_EX_NEGATES;
	return TM_EX_PLAIN;
}

bool tm_ex_lexicon_sorted(void)
{
	bool matches;

	for (size_t i = 1; i < COUNT(stop_words); i++)
		if (strcmp(stop_words[i - 1].word, stop_words[i].word) >= 0)
			return false;
	for (size_t i = 1; i < COUNT(turns); i++)
		if (strcmp(turns[i - 1].word, turns[i].word) >= 0)
			return false;
	for (size_t i = 1; i < COUNT(opinions); i++) {
		char bare[TM_EX_FOLD_BYTES];
		size_t len = strcspn(opinions[i].word, "*");

		memcpy(bare, opinions[i].word, len);
		bare[len] = '\0';
		if (compare(bare, opinions[i - 1].word, &matches) <= 0)
			return false;
	}
	return true;
}

int tm_ex_emoji(uint32_t point)
{
	static const struct {
		uint32_t first, last;
		int opinion;
	} emoji[] = {
		{0x2639, 0x2639, -2}, {0x263A, 0x263A, 2}, {0x2764, 0x2764, 3},
		{0x1F389, 0x1F38A, 2}, {0x1F44D, 0x1F44D, 2}, {0x1F44E, 0x1F44E, -2},
		{0x1F44F, 0x1F44F, 2}, {0x1F494, 0x1F494, -3}, {0x1F495, 0x1F49D, 3},
		{0x1F4A9, 0x1F4A9, -2}, {0x1F600, 0x1F60E, 2}, {0x1F612, 0x1F616, -2},
		{0x1F618, 0x1F61B, 2}, {0x1F61E, 0x1F62B, -2}, {0x1F62D, 0x1F631, -2},
		{0x1F641, 0x1F641, -2}, {0x1F642, 0x1F643, 1}, {0x1F917, 0x1F917, 2},
		{0x1F929, 0x1F929, 3}, {0x1F92C, 0x1F92C, -3}, {0x1F970, 0x1F973, 3},
	};

	for (size_t i = 0; i < COUNT(emoji); i++)
		if (point >= emoji[i].first && point <= emoji[i].last)
			return emoji[i].opinion;
	return 0;
}
