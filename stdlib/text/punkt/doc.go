// Package punkt cuts text into sentences as NLTK's PunktSentenceTokenizer does (Kiss and Strunk, 2006), which
// AlignScore uses.
//
// It knows the algorithm with NLTK's language variables, the English parameters of NLTK's punkt_tab (built in), and how
// to read the folder of another language or a model of one's own. It does not know how parameters are trained, and it
// sees no meaning: "Fig." and "approx." are no abbreviations of the English parameters, so it cuts behind them, and so
// does NLTK.
//
//	p, err := punkt.English()
//	p.Sentences("A mass is seen. It measures 3.5 cm.")
//
// The rules are those of NLTK 3.9.1. 3.10.4 also takes curly quotes and guillemets for closing punctuation, and fractions
// for no letters; Params.Modern does the same.
package punkt
