package concepts

import (
	"fmt"
	"strings"
	"sync"
)

// exceptions are the words that spaCy's tokenizer for English cuts in its own
// way, with their parts: contractions ("isn't" is "is", "n't"), times of day,
// abbreviations that keep their period, and faces.
var exceptions = sync.OnceValue(func() map[string][]string {
	e := exceptionTable{}
	e.pronouns()
	e.verbs()
	e.others()
	for _, s := range strings.Fields("Ill ill Its its Hell hell Shell shell Shed shed were Were Well well Whore whore") {
		delete(e, s)
	}
	e.whole(strings.Fields(abbreviations + letters + faces)...)
	e.whole(" ", "\t", "\n", "\u00a0")
	for s, parts := range e {
		if !strings.Contains(s, "'") {
			continue
		}
		curly := make([]string, len(parts))
		for i, p := range parts {
			curly[i] = strings.ReplaceAll(p, "'", "’")
		}
		e[strings.ReplaceAll(s, "'", "’")] = curly
	}
	return e
})

type exceptionTable map[string][]string

func (e exceptionTable) whole(words ...string) {
	for _, w := range words {
		e[w] = []string{w}
	}
}

func (e exceptionTable) cut(parts ...string) { e[strings.Join(parts, "")] = parts }

// contract cuts a word from endings, as written ("'ll 've") and without the
// apostrophes ("llve"); the word in lower case and in title case.
func (e exceptionTable) contract(words, endings string) {
	for _, w := range strings.Fields(words) {
		for _, w := range []string{w, strings.ToUpper(w[:1]) + w[1:]} {
			for _, ending := range strings.Split(endings, ",") {
				parts := append([]string{w}, strings.Fields(ending)...)
				e.cut(parts...)
				e.cut(strings.Fields(strings.ReplaceAll(strings.Join(parts, " "), "'", ""))...)
			}
		}
	}
}

func (e exceptionTable) pronouns() {
	e.contract("i", "'m,'m a")
	e.contract("i you he she it we they", "'ll,'ll 've,'d,'d 've")
	e.contract("i you we they", "'ve")
	e.contract("you we they", "'re")
	e.contract("he she it", "'s")
	asked := "who what when where why how there"
	e.contract(asked+" that this", "'s")
	e.contract(asked+" that this these those", "'ll,'ll 've,'d,'d 've")
	e.contract(asked+" these those", "'re,'ve")
}

func (e exceptionTable) verbs() {
	not := "ca could do does did had may might must need ought sha should wo would"
	for _, w := range strings.Fields(not) {
		for _, w := range []string{w, strings.ToUpper(w[:1]) + w[1:]} {
			e.cut(w, "n't")
			e.cut(w, "nt")
			e.cut(w, "n't", "'ve")
			e.cut(w, "nt", "ve")
		}
	}
	e.contract("could might must should would", "'ve")
	for _, w := range strings.Fields("ai are is was were have has dare") {
		for _, w := range []string{w, strings.ToUpper(w[:1]) + w[1:]} {
			e.cut(w, "n't")
			e.cut(w, "nt")
		}
	}
}

func (e exceptionTable) others() {
	for _, w := range strings.Fields("doin goin nothin nuthin ol somethin lovin havin") {
		t := strings.ToUpper(w[:1]) + w[1:]
		e.whole(w, w+"'", t, t+"'")
	}
	e.whole("em", "'em", "ll", "'ll", "nuff", "'nuff")
	for h := 1; h <= 12; h++ {
		for _, p := range []string{"a.m.", "am", "p.m.", "pm"} {
			e.cut(fmt.Sprint(h), p)
		}
	}
	for _, s := range []string{"y' all", "y all", "how 'd 'y", "How 'd 'y", "can not", "Can not", "gon na", "Gon na",
		"got ta", "Got ta", "let 's", "Let 's", "c'm on", "C'm on"} {
		e.cut(strings.Fields(s)...)
	}
	e.contract("not", "'ve")
	for _, unit := range strings.Fields("C F K c f k") {
		e.cut("°", unit, ".")
	}
}

const abbreviations = ` 'S 's ‘S ‘s and/or w/o 're 'Cause 'cause 'cos 'Cos 'coz 'Coz 'cuz 'Cuz 'bout ma'am Ma'am o'clock O'clock
	Mt. Ak. Ala. Apr. Ariz. Ark. Aug. Calif. Colo. Conn. Dec. Del. Feb. Fla. Ga. Ia. Id. Ill. Ind. Jan. Jul. Jun. Kan.
	Kans. Ky. La. Mar. Mass. Mich. Minn. Miss. N.C. N.D. N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Nov. Oct. Okla. Ore. Pa. S.C.
	Sep. Sept. Tenn. Va. Wash. Wis. 'd a.m. Adm. Bros. co. Co. Corp. D.C. Dr. e.g. E.g. E.G. Gen. Gov. i.e. I.e. I.E. Inc.
	Jr. Ltd. Md. Messrs. Mo. Mont. Mr. Mrs. Ms. p.m. Ph.D. Prof. Rep. Rev. Sen. St. vs. v.s. `

const letters = ` \t \n — ' \") <space> '' C++
	a. b. c. d. e. f. g. h. i. j. k. l. m. n. o. p. q. r. s. t. u. v. w. x. y. z. ä. ö. ü. `

const faces = ` (*_*) (-8 (-: (-; (-_-) (._.) (: (; (= (>_<) (^_^) (o: (¬_¬) (ಠ_ಠ) (╯°□°）╯︵┻━┻ )-: ): -_- -__- ._. 0.0 0.o 0_0
	0_o 8) 8-) 8-D 8D :'( :') :'-( :'-) :( :(( :((( :() :) :)) :))) :* :-( :-(( :-((( :-) :-)) :-))) :-* :-/ :-0 :-3 :->
	:-D :-O :-P :-X :-] :-o :-p :-x :-| :-} :/ :0 :1 :3 :> :D :O :P :X :] :o :o) :p :x :| :} ;) ;-) ;-D ;D ;_; <.< </3 <3
	<33 <333 =( =) =/ =3 =D =[ =] =| >.< >.> >:( >:o ><(((*> @_@ O.O O.o O_O O_o V.V V_V XD XDD [-: [: [= ]= ^_^ ^__^ ^___^
	o.0 o.O o.o o_0 o_O o_o v.v v_v xD xDD ¯\(ツ)/¯ ಠ_ಠ ಠ︵ಠ `

// trie is a tree of token sequences.
type trie struct {
	next map[string]*trie
	ends bool
}

// apart is the exceptions that the affixes would take apart, by the tokens that
// they would leave.
var apart = sync.OnceValue(func() *trie {
	root := &trie{next: map[string]*trie{}}
	for s := range exceptions() {
		if prefixLen(s) == 0 && suffixLen(s) == 0 && !hasInfix(s) && !strings.Contains(s, " ") {
			continue
		}
		node := root
		for _, tok := range plain(s) {
			if node.next[tok] == nil {
				node.next[tok] = &trie{next: map[string]*trie{}}
			}
			node = node.next[tok]
		}
		node.ends = true
	}
	return root
})
