// Package text knows what is done to the words around an image before a model or a metric sees
// them: normalising captions (Figure 1 of the paper), preparing them for the metrics exactly as the
// ImageCLEFmedical evaluator does, cutting them into rouge_score's tokens; and the near-name
// suggestion of error messages. It does not know tokenizer files (package tokenizer), chat templates
// (package jinja) or any dataset.
package text
