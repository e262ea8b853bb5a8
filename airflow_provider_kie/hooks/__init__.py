"""The kie.ai hook."""
