// Table 2. The ten systems of the paper: image encoder, text decoder, connector, and the parameters of each.
//
//	title: The systems of the paper and their sizes
package models

import (
	"lightbox/stdlib/models"
)

// %% Table 2
//
// Every count is made on the module tree that the system's configuration describes; no weights are needed.

var Table2 = models.Count(models.Paper(models.ConfigOnly))
