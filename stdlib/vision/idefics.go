package vision

// DefaultIdeficsProcessor is transformers' IdeficsImageProcessor without arguments: 224x224 whatever the aspect
// (bicubic), 1/255, OpenAI's mean and standard deviation.
func DefaultIdeficsProcessor() CLIPProcessor {
	p := DefaultCLIPProcessor()
	p.Size, p.DoCenterCrop = Size{Height: 224, Width: 224}, false
	return p
}

var ideficsKind = kind{[]string{"IdeficsImageProcessor"}, DefaultIdeficsProcessor, true, "image_size"}

// ParseIdeficsProcessor is ParseCLIPProcessor for an IdeficsImageProcessor, whose image_size is its size.
func ParseIdeficsProcessor(config []byte, name string) (CLIPProcessor, error) {
	return parseNamed(config, name, ideficsKind)
}
