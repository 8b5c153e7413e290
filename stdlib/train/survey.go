package train

import (
	"context"
	"errors"
	"fmt"

	"lightbox/stdlib/models/model"
	"lightbox/stdlib/vision"
)

// span is the range and sum of a count.
type span struct{ least, most, sum int }

func (s *span) add(n, seen int) {
	if seen == 0 || n < s.least {
		s.least = n
	}
	s.most = max(s.most, n)
	s.sum += n
}

func (s span) String() string {
	if s.least == s.most {
		return fmt.Sprint(s.most)
	}
	return fmt.Sprintf("%d to %d", s.least, s.most)
}

// mostErrors bounds the examples that an error names.
const mostErrors = 12

// survey counts every example's tokens before any is trained on: those of its image follow from its size, which the
// file's header tells. An example that the model cannot hold stops the training here and not in its third hour; all such
// are reported at once.
func (s *source) survey(ctx context.Context, logf func(string, ...any)) error {
	if s.len() == 0 {
		return nil
	}
	var images, texts span
	var errs []error
	bad := 0
	known := map[[2]int]int{} // tokens by size of the image
	for i := range s.len() {
		select {
		case <-ctx.Done():
			return nil // the loop sees it next and saves
		default:
		}
		ex := s.example(i)
		image, text, err := s.tokens(i, known)
		if err != nil {
			if bad++; bad <= mostErrors {
				errs = append(errs, fmt.Errorf("example %s: %w", ex.ID, err))
			}
			continue
		}
		images.add(image, i)
		texts.add(text, i)
	}
	if bad > 0 {
		if bad > mostErrors {
			errs = append(errs, fmt.Errorf("… and %d more", bad-mostErrors))
		}
		return fmt.Errorf("%d of %d examples of split %q do not fit the model:\n%w", bad, s.len(), s.example(0).Split, errors.Join(errs...))
	}
	logf("%s: %d examples, each %s tokens of image and about %s of text", s.example(0).Split, s.len(), images, texts)
	return nil
}

// tokens counts an example's tokens of image and of text. The text is tokenised without the image, whose marker may
// take a token or two besides.
func (s *source) tokens(i int, known map[[2]int]int) (image, text int, err error) {
	w, h, err := s.r.Size(s.rows[i])
	if err != nil {
		return 0, 0, err
	}
	ex := s.example(i)
	target := 0
	in := model.Input{Prompt: ex.Ask(s.prompt), Target: ex.Caption}
	sample, err := s.m.Encode(in)
	if w > 0 && errors.Is(err, model.ErrNoImage) { // its images take no tokens: any will do
		in.Image = vision.New(1, 1)
		sample, err = s.m.Encode(in)
	}
	if err != nil {
		return 0, 0, err
	}
	text, target = len(sample.IDs), sample.LossTokens()
	size := [2]int{w, h}
	image, ok := known[size]
	if !ok && w > 0 {
		b, err := s.m.Blank(w, h, 0, 0)
		if err != nil {
			return 0, 0, err
		}
		image = len(b.IDs)
		known[size] = image
	}
	if room := s.m.Info().Context; room > 0 && image+text > room {
		return 0, 0, fmt.Errorf("an image of %dx%d takes %d tokens, prompt and caption about %d (%d to learn); the model holds %d", w, h, image, text, target, room)
	}
	return image, text, nil
}
