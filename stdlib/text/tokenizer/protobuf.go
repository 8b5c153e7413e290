package tokenizer

import (
	"encoding/binary"
	"errors"
)

// protoField is one field of a protocol buffer message: a number, or bytes.
type protoField struct {
	number int
	value  uint64 // varint, fixed32 or fixed64
	bytes  []byte // of a length-delimited field, else nil
}

var errProto = errors.New("is no message of protocol buffers, or cut short")

// protoFields calls each with the fields of a message, in order.
func protoFields(msg []byte, each func(protoField) error) error {
	for len(msg) > 0 {
		key, n := binary.Uvarint(msg)
		if n <= 0 || key>>3 == 0 || key>>3 > 1<<29 {
			return errProto
		}
		msg = msg[n:]
		f := protoField{number: int(key >> 3)}
		size := uint64(0)
		switch key & 7 {
		case 0:
			f.value, n = binary.Uvarint(msg)
			if n <= 0 {
				return errProto
			}
			size = uint64(n)
		case 1, 5:
			if size = 8; key&7 == 5 {
				size = 4
			}
			if uint64(len(msg)) < size {
				return errProto
			}
			f.value = uint64(binary.LittleEndian.Uint32(msg))
			if size == 8 {
				f.value = binary.LittleEndian.Uint64(msg)
			}
		case 2:
			length, n := binary.Uvarint(msg)
			if n <= 0 || length > uint64(len(msg)-n) {
				return errProto
			}
			f.bytes = msg[n : uint64(n)+length]
			size = uint64(n) + length
		default:
			return errProto
		}
		if err := each(f); err != nil {
			return err
		}
		msg = msg[size:]
	}
	return nil
}
