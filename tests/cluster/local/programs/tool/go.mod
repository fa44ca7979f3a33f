module threadkeep/tool

go 1.25.0
