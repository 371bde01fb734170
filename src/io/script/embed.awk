# Turns Lua scripts into a C header: one static const char array per file, tm_script_<name>.
#
#	awk -f embed.awk admit.lua ... > script_text.h
#
# Lines keep their numbers, so that an error inside Redis names the line of the file; whole-line
# comments and indentation are left out: workers send the text over and over.

function finish() {
	if (open)
		print "\t\"\";\n"
}

FNR == 1 {
	if (NR == 1) {
		print "/* Made by embed.awk from src/io/script: do not edit. */"
		print "#ifndef TM_IO_SCRIPT_TEXT_H"
		print "#define TM_IO_SCRIPT_TEXT_H\n"
		print "/* Longer than the strings every compiler must take. */"
		print "#pragma GCC diagnostic push"
		print "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n"
	}
	finish()
	name = FILENAME
	sub(/^.*\//, "", name)
	sub(/\.lua$/, "", name)
	print "static const char tm_script_" name "[] ="
	open = 1
}

{
	line = $0
	sub(/^[ \t]+/, "", line)
	if (line ~ /^--/ && line !~ /^--\[/)
		line = ""
	gsub(/\\/, "&&", line)
	gsub(/"/, "\\\\&", line)
	print "\t\"" line "\\n\""
}

END {
	finish()
	print "#pragma GCC diagnostic pop\n"
	print "#endif"
}
