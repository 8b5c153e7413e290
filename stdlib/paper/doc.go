// Package paper is the noun "published": the numbers of the paper that this project reproduces, as it prints them, with
// their sources, and an audit that recomputes what it derives from its own numbers.
//
// It knows every printed digit of Tables 1 to 5 and of the strategies' figures, which of them follow from others, and how
// far rounding lets a recomputed value lie from a printed one. It does not know the values behind the printed ones, nor
// anything that this project measured: a table puts those beside (table.Table.Beside).
//
// Source: Bioengineering 2025, 12(12):1330, doi 10.3390/bioengineering12121330, CC BY 4.0.
package paper
