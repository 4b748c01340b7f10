package checkpoint

import "slices"

// Scheme is a convention by which files name and lay out tensors.
type Scheme int

// The schemes that families know.
const (
	HuggingFace Scheme = iota // safetensors and PyTorch files as transformers names them
	GGUF                      // as llama.cpp names them
	OpenCLIP                  // as OpenAI's CLIP and open_clip name them
)

// String is the scheme's name in messages.
func (s Scheme) String() string { return [...]string{"Hugging Face", "GGUF", "open_clip"}[s] }

// Place says where a parameter stands in a file: its row i is row From+Row(i) of the tensor Name. The rows of a tensor are all axes but
// the last, flattened; those of a vector are its elements. Several parameters may share one tensor when their rows together
// are all of it, each once. The zero Place but for its name is a tensor that equals the parameter.
type Place struct {
	Name      string
	From      int             // the first row
	Row       func(i int) int // nil for i
	Transpose bool            // the file holds the matrix transposed: its columns are counted as rows
	Add       float32         // added to the values on reading and taken away on writing
	Stack     int             // on writing, of how many equal matrices the shared tensor [Stack, rows, columns] is made; 0 for a matrix [rows, columns]
}

// row is where row i of the parameter stands in the tensor.
func (p *Place) row(i int) int {
	if p.Row != nil {
		i = p.Row(i)
	}
	return p.From + i
}

// runs calls use for each stretch of n rows, from row i of the parameter on, that stand together in the tensor from row at on.
func (p *Place) runs(rows int, use func(i, at, n int) error) error {
	if p.Row == nil {
		return use(0, p.From, rows)
	}
	for i := 0; i < rows; {
		at, n := p.row(i), 1
		for i+n < rows && p.row(i+n) == at+n {
			n++
		}
		if err := use(i, at, n); err != nil {
			return err
		}
		i += n
	}
	return nil
}

// contiguous says whether the rows stand together in the tensor, from row at on.
func (p *Place) contiguous(rows int) (at int, ok bool) {
	stretches := 0
	p.runs(rows, func(i, a, n int) error {
		if stretches++; i == 0 {
			at = a
		}
		return nil
	})
	return at, stretches <= 1
}

// rowsOf returns the rows of a shape and the elements of one.
func rowsOf(shape []int) (rows, width int) {
	if len(shape) == 1 {
		return shape[0], 1
	}
	rows, width = 1, 1
	for i, d := range shape {
		if i == len(shape)-1 {
			width = d
		} else {
			rows *= d
		}
	}
	return rows, width
}

// transposed returns shape as it reads with Transpose, a copy.
func (p *Place) transposed(shape []int) []int {
	shape = slices.Clone(shape)
	if p.Transpose {
		slices.Reverse(shape)
	}
	return shape
}
