package dual

import "strings"

// Clean is a stand-in until the next commit.
func Clean(s string) string { return s }

func cleanOpenCLIP(s string) string { return strings.Join(strings.Fields(Clean(s)), " ") }
