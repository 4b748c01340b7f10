package tidy

import (
	"regexp"
	"strings"
)

// Classes of the characters that UTF-8 turns into when it is read in another encoding, for use in brackets.
const (
	common          = "\u00a0\u00ad·´–—―…’" // seen everywhere
	c1              = "\u0080-\u009f"
	odd             = "¦¤¨¬¯¸ƒˆˇ˘˛˜†‡‰⌐◊\ufffdªº" // hardly seen elsewhere
	law             = "¶§"
	currency        = "¢£¥₧€"
	opening         = "¡«¿©΄΅‘‚“„•‹\uf8ff"
	closing         = "®»˝”›™"
	numeric         = "²³¹±¼½¾×µ÷⁄∂∆∏∑√∞∩∫≈≠≡≤≥№"
	faces           = "Ò-ÖÙ-Üò-öø-üŐŌŪŲ°" // letters of faces made of characters
	upperAccented   = "À-ÑØÜÝĂĀĄĆČĎĐĘĚĒĖĞĢİĪĶĹĽŁĻŃŇŅŒŘŚŞŠŢŤŮŰŸŹŻŽҐ"
	lowerAccented   = "ßà-ñăąāćčďđęěēėğģįīķĺľłļœŕśşšťüźżžґﬁﬂ"
	upperCommon     = "ÞΑ-ΩΆΈΉΊΌΎΏΪΫЁ-Я"
	lowerCommon     = "α-ωάέήίΰа-џ"
	box             = "│┌┐┘├┤┬┼═-╬▀▄█▌▐░▒▓"
	space           = `\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}` // Python's \s
	word            = `\p{L}\p{N}_`                                                                                 // Python's \w
	accented        = lowerAccented + upperAccented
	symbols         = box + opening + closing + currency + numeric + law
	arabicSecond    = common + currency + odd + numeric + opening + "ŸŠ®°µ»"
	cyrillicBetween = c1 + odd + opening + closing + currency + "°"
)

// unlikely is a sequence of characters that hardly stands in text that was read rightly.
var unlikely = regexp.MustCompile(strings.Join([]string{
	"[" + c1 + "]",
	"[" + odd + accented + symbols + "][" + odd + "]",
	"[a-zA-Z][" + lowerCommon + upperCommon + "][" + odd + "]",
	"[" + odd + "][" + accented + symbols + "]",
	"[" + lowerAccented + lowerCommon + box + closing + currency + numeric + "][" + upperAccented + "]",
	"[" + box + closing + currency + numeric + "][" + lowerAccented + "]",
	"[" + lowerAccented + box + closing + "][" + currency + "]",
	"[" + space + "][" + upperAccented + "][" + currency + "]",
	"[" + upperAccented + box + "][" + numeric + law + "]",
	"[" + accented + box + currency + closing + "][" + opening + "][" + numeric + "]",
	"[" + accented + currency + numeric + box + law + "][" + closing + "][" + opening + "]",
	"[" + currency + numeric + box + "][" + opening + "]",
	"[a-z][" + upperAccented + "][" + opening + currency + "]",
	"[" + box + "][" + faces + closing + "]",
	"[" + accented + currency + numeric + opening + closing + law + "][" + box + "]",
	"[" + accented + "][" + opening + closing + "][" + word + "]",
	"[Œœ][^A-Za-z]",
	"[" + upperAccented + "]°",
	// two characters of Windows-1252
	"[ÂÃÎÐ][€œŠš¢£Ÿž\u00a0\u00ad®©°·»" + opening + closing + "–—´]",
	"×[²³]",
	// Arabic in Windows-1252: four characters, as common ones are among them
	"[ØÙ][" + arabicSecond + "][ØÙ][" + arabicSecond + "]",
	// scripts of South Asia in Windows-1252
	"à[²µ¹¼½¾]",
	// Mac Roman
	"√[±∂†≠®™´≤≥¥µø]", "≈[°¢]", "‚Ä[ìîïòôúùû†°¢π]", "‚[âó][àä°ê]",
	// Windows-1251: U+2000 and on, Latin-1 and Cyrillic, and these read wrongly twice
	"вЂ", "[ВГРС][" + cyrillicBetween + "µ][ВГРС]", "ГўВЂВ.[A-Za-z ]",
	// à, á and a space of fixed width in Windows-1252
	"Ã[\u00a0¡]", "[a-z][" + space + "]?[ÃÂ] ", "^[ÃÂ] ",
	"[a-z.,?!" + closing + "]Â[ " + opening + closing + "]",
	// Windows-1253: U+2000 and on, Latin-1 and Greek
	"β€[™\u00a0Ά\u00ad®°]", "[ΒΓΞΟ][" + cyrillicBetween + "][ΒΓΞΟ]",
	// Windows-1257
	"ā€",
}, "|"))

// suspects are the characters one of which at least is in whatever is unlikely.
var suspects = regexp.MustCompile("[" + c1 + odd + accented + symbols + lowerCommon + upperCommon + faces + "]")

// isBad says whether text looks like UTF-8 that was read in another encoding.
func isBad(text string) bool { return suspects.MatchString(text) && unlikely.MatchString(text) }
