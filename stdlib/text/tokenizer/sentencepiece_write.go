package tokenizer

import (
	"encoding/binary"
	"math"
)

// EncodeUnigram is a SentencePiece .model of kind unigram that cuts text into pieces, the likeliest first ("▁the"), without
// normalisation. unknown stands for characters that no piece has; control symbols are in no text. Ids are in the order unknown,
// control, pieces. The library sentencepiece reads it too.
func EncodeUnigram(unknown string, control, pieces []string) []byte {
	var out []byte
	add := func(text string, score float32, kind uint64) {
		var p []byte
		p = protoBytes(p, 1, []byte(text))
		p = binary.LittleEndian.AppendUint32(append(p, 2<<3|5), math.Float32bits(score))
		p = binary.AppendUvarint(append(p, 3<<3), kind)
		out = protoBytes(out, 1, p)
	}
	add(unknown, 0, pieceUnknown)
	for _, s := range control {
		add(s, 0, pieceControl)
	}
	for i, s := range pieces {
		add(s, -float32(i+1)/16, pieceNormal)
	}
	trainer := binary.AppendUvarint([]byte{3 << 3}, 1) // model_type: unigram
	trainer = binary.AppendUvarint(append(trainer, 4<<3), uint64(1+len(control)+len(pieces)))
	out = protoBytes(out, 2, trainer)
	return protoBytes(out, 3, protoBytes(nil, 1, []byte("identity")))
}

// protoBytes appends a field of bytes.
func protoBytes(out []byte, field int, b []byte) []byte {
	out = binary.AppendUvarint(out, uint64(field)<<3|2)
	out = binary.AppendUvarint(out, uint64(len(b)))
	return append(out, b...)
}
