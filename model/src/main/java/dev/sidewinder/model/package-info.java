/// Everything a checkpoint offers to the rest of the program. Read [dev.sidewinder.model.Model] first.
package dev.sidewinder.model;
