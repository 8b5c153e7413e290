package cpu

//go:generate go run -tags avo ./internal/asm
