package cpu

// vec is the table of loops for the path in use.
func vec() *vecTable { return vecOf(Current()) }
