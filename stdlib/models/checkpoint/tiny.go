package checkpoint

import (
	"slices"

	"lightbox/stdlib/text/tokenizer"
)

// corpus is what tokenizers of small random checkpoints are trained on: captions' and prompts' words, so that a caption
// takes about as many tokens as it has words.
var corpus = []string{
	"Describe the image. What does the film show? Describe the radiology image in one sentence. Which side is the finding on?",
	"Chest radiograph shows a nodule in the left upper lobe, marked by an arrow. Chest X-ray with right pleural effusion.",
	"Axial CT of the abdomen shows a cyst of 23 mm in the right kidney. Axial contrast-enhanced computed tomography of the chest.",
	"Sagittal MRI of the brain shows no lesion. T2-weighted magnetic resonance imaging of the lumbar spine with disc herniation.",
	"Ultrasound of the liver shows a mass of 4.5 cm. Transabdominal ultrasound image of the pelvis. Echocardiogram with an effusion.",
	"Coronal computed tomography image showing a large mass in the right lower lobe of the lung (arrow).",
	"Angiography of the left coronary artery demonstrating severe stenosis (white arrow). PET-CT with increased uptake.",
	"Panoramic radiograph showing the impacted tooth. Plain radiograph of the left hip after the fracture.",
	"The patient was a 45-year-old woman. The arrow shows the lesion. The arrowhead points to the tumor. Figure 2.",
	"system user assistant You are a helpful assistant. USER: ASSISTANT: User: Assistant: Question: Answer: [INST] [/INST]",
	"A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the human's questions.",
}

// TinyTokenizer writes the tokenizer files of a small random checkpoint into dir: a vocabulary of about size tokens and
// the added ones behind it, of which roles says what they are ({"eos_token", "<|im_end|>"}). byteLevel is GPT-2's kind;
// the other is Llama's, with its own <unk>, <s> and </s>. It returns the ids of the added tokens.
func TinyTokenizer(dir string, byteLevel bool, size int, added []string, roles ...[2]string) (map[string]int32, error) {
	files, err := tokenizer.TrainBPE(slices.Values(slices.Concat(corpus, corpus)), tokenizer.TrainOptions{
		VocabSize: size, Added: added, ByteLevel: byteLevel, Roles: roles,
	})
	if err != nil {
		return nil, err
	}
	if err := files.Write(dir); err != nil {
		return nil, err
	}
	tok, err := files.Load()
	if err != nil {
		return nil, err
	}
	ids := map[string]int32{}
	for _, a := range added {
		ids[a], _ = tok.ID(a)
	}
	return ids, nil
}
