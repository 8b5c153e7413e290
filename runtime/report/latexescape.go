package report

import (
	"strings"

	"golang.org/x/text/unicode/norm"
)

// escapeLaTeX makes a text stand for itself, on one line.
func escapeLaTeX(s string) string { return latexEscapes.Replace(oneLine(s)) }

// latexEscapes writes what is special to LaTeX, and what lies outside of Latin-1
// but in its standard fonts.
var latexEscapes = strings.NewReplacer(append(specials, letters()...)...)

var specials = []string{`\`, `\textbackslash{}`, "{", `\{`, "}", `\}`, "$", `\$`, "&", `\&`, "#", `\#`, "_", `\_`,
	"%", `\%`, "~", `\textasciitilde{}`, "^", `\textasciicircum{}`, "<", `\textless{}`, ">", `\textgreater{}`, "|", `\textbar{}`,
	`"`, "''", "`", `\textasciigrave{}`, "--", "-{}-", "–", "--", "—", "---", "−", "$-$", "±", `$\pm$`, "×", `$\times$`, "÷", `$\div$`, "·", `$\cdot$`, "∼", `$\sim$`,
	"≤", `$\leq$`, "≥", `$\geq$`, "≠", `$\neq$`, "≈", `$\approx$`, "≡", `$\equiv$`, "∝", `$\propto$`, "∞", `$\infty$`, "√", `$\surd$`,
	"∑", `$\sum$`, "∏", `$\prod$`, "∫", `$\int$`, "∂", `$\partial$`, "∇", `$\nabla$`, "∈", `$\in$`, "∉", `$\notin$`, "⊂", `$\subset$`, "∪", `$\cup$`, "∩", `$\cap$`,
	"∅", `$\emptyset$`, "∀", `$\forall$`, "∃", `$\exists$`, "¬", `$\neg$`, "∧", `$\wedge$`, "∨", `$\vee$`, "⋅", `$\cdot$`,
	"←", `$\leftarrow$`, "→", `$\rightarrow$`, "↑", `$\uparrow$`, "↓", `$\downarrow$`, "↔", `$\leftrightarrow$`, "⇒", `$\Rightarrow$`, "⇐", `$\Leftarrow$`, "⇔", `$\Leftrightarrow$`,
	"µ", `$\mu$`, "°", `$^\circ$`, "′", `$'$`, "″", `$''$`, "…", `\ldots{}`, "‘", "`", "’", "'", "“", "``", "”", "''", "„", `\quotedblbase{}`, "‚", `\quotesinglbase{}`,
	"†", `\dag{}`, "‡", `\ddag{}`, "•", `\textbullet{}`, "‰", `\textperthousand{}`, "€", `\texteuro{}`, "™", `\texttrademark{}`, "‹", `\guilsinglleft{}`, "›", `\guilsinglright{}`,
	"✓", `$\surd$`, "✗", `$\times$`, "█", `\rule{.6em}{.7em}`, "\u00a0", "~", "\u202f", `\,`, "\u2009", `\,`, "\u200a", `\,`, "\u2002", " ", "\u2003", " ", "\u00ad", `\-`,
	"\u200b", "", "\u200c", "", "\u200d", "", "\ufeff", "", "\u2060", "", "‐", "-", "‑", "-", "ı", `\i{}`, "ł", `\l{}`, "Ł", `\L{}`, "œ", `\oe{}`, "Œ", `\OE{}`,
	"đ", `\dj{}`, "Đ", `\DJ{}`, "ŋ", `\ng{}`, "Ŋ", `\NG{}`, "ﬁ", "fi", "ﬂ", "fl", "\ufffd", "?"}

// letters are Greek, super- and subscripts, and Latin letters with one accent.
func letters() []string {
	var out []string
	names := strings.Fields("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi . pi rho varsigma sigma tau upsilon phi chi psi omega")
	for i, name := range names { // from U+03B1; omicron is an o
		if name != "." {
			out = append(out, string(rune(0x3b1+i)), `$\`+name+"$")
		}
	}
	for _, c := range strings.Fields("ΓGamma ΔDelta ΘTheta ΛLambda ΞXi ΠPi ΣSigma ΥUpsilon ΦPhi ΨPsi ΩOmega ϵepsilon ϑvartheta ϕphi ϱvarrho") {
		r := []rune(c)
		out = append(out, string(r[0]), `$\`+string(r[1:])+"$")
	}
	for _, c := range strings.Fields("ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΧX οo") {
		r := []rune(c)
		out = append(out, string(r[0]), string(r[1]))
	}
	for i, r := range []rune("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ") {
		out = append(out, string(r), "$^"+string([]rune("0123456789+-()n")[i])+"$")
	}
	for i, r := range []rune("₀₁₂₃₄₅₆₇₈₉₊₋") {
		out = append(out, string(r), "$_"+string([]rune("0123456789+-")[i])+"$")
	}
	accents := map[rune]string{0x300: "`", 0x301: "'", 0x302: "^", 0x303: "~", 0x304: "=", 0x306: "u", 0x307: ".", 0x308: `"`, 0x30a: "r", 0x30b: "H", 0x30c: "v", 0x323: "d", 0x327: "c", 0x328: "k"}
	for r := rune(0x100); r < 0x1f00; r++ {
		if r == 0x250 {
			r = 0x1e00
		}
		parts := []rune(norm.NFD.String(string(r)))
		if len(parts) != 2 || parts[0] > 'z' {
			continue
		}
		if a, ok := accents[parts[1]]; ok {
			base := string(parts[0])
			if base == "i" || base == "j" {
				base = `\` + base
			}
			out = append(out, string(r), `\`+a+"{"+base+"}")
		}
	}
	return out
}
