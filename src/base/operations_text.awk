# Turns the files of etc/operations.d into a C header: the operations that are built in.
#
#	awk -f operations_text.awk summarize.conf ... > operations_text.h
#
# Lines keep their numbers; comments are left out.

function finish() {
	if (open)
		print "\t\"\"},"
}

FNR == 1 {
	if (NR == 1) {
		print "/* Made by operations_text.awk from etc/operations.d: do not edit. */"
		print "#ifndef TM_BASE_OPERATIONS_TEXT_H"
		print "#define TM_BASE_OPERATIONS_TEXT_H\n"
		print "/* Longer than the strings every compiler must take. */"
		print "#pragma GCC diagnostic push"
		print "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n"
		print "static const struct {"
		print "\tconst char *name, *text;"
		print "} tm_operations_text[] = {"
	}
	finish()
	name = FILENAME
	sub(/^.*\//, "", name)
	print "\t{\"built-in " name "\","
	open = 1
}

{
	line = $0
	if (line ~ /^#/)
		line = ""
	gsub(/\\/, "&&", line)
	gsub(/"/, "\\\\&", line)
	print "\t\"" line "\\n\""
}

END {
	finish()
	print "};\n"
	print "#pragma GCC diagnostic pop\n"
	print "#endif"
}
