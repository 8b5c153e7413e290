package cpu

// pickVec chooses the loops for this CPU.
func pickVec() vecTable { return vecGo }
