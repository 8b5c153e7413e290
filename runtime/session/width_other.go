//go:build !unix

package session

import "os"

func terminalWidth(*os.File) int { return 0 }
