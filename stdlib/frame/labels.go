package frame

import "strings"

// Label is one key of Labels with its value.
type Label struct{ Key, Value string }

// Labels tell systems apart: an ordered map from key to value, such as
// system=LoRA, prompt=+Modality. The zero value is empty and ready for use.
// Labels are values: Set returns a copy.
type Labels []Label

// Get returns the value of key, "" when it is not set.
func (l Labels) Get(key string) string {
	for _, x := range l {
		if x.Key == key {
			return x.Value
		}
	}
	return ""
}

// Has tells whether key is set.
func (l Labels) Has(key string) bool {
	for _, x := range l {
		if x.Key == key {
			return true
		}
	}
	return false
}

// Set returns a copy of l in which key has value; a new key comes last.
func (l Labels) Set(key, value string) Labels {
	out := append(make(Labels, 0, len(l)+1), l...)
	for i := range out {
		if out[i].Key == key {
			out[i].Value = value
			return out
		}
	}
	return append(out, Label{key, value})
}

// Keys returns the keys in their order.
func (l Labels) Keys() []string {
	keys := make([]string, len(l))
	for i, x := range l {
		keys[i] = x.Key
	}
	return keys
}

// String gives "system=LoRA, prompt=+Modality".
func (l Labels) String() string {
	parts := make([]string, len(l))
	for i, x := range l {
		parts[i] = x.Key + "=" + x.Value
	}
	return strings.Join(parts, ", ")
}
