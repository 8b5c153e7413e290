package data

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Words of the reports. They are common words of case reports, put together at random: the sentences are English and
// mean nothing.
var reportWords = map[string][]string{
	"person":    {"man", "woman", "male", "female", "male patient", "female patient", "boy", "girl", "patient", "infant", "smoker", "nurse", "non-smoker"},
	"complaint": {"fever", "cough", "dry cough", "productive cough", "dyspnoea", "dyspnea", "shortness of breath", "chest pain", "abdominal pain", "back pain", "headache", "nausea", "vomiting", "fatigue", "weakness", "weight loss", "anorexia", "night sweats", "seizures", "dizziness", "diarrhea", "sore throat", "myalgia", "haemoptysis", "confusion", "swelling", "numbness", "loss of consciousness", "difficulty breathing", "palpitations", "malaise", "chills"},
	"disease":   {"pneumonia", "tuberculosis", "asthma", "diabetes", "hypertension", "chronic obstructive pulmonary disease", "heart failure", "atrial fibrillation", "lymphoma", "leukemia", "breast cancer", "lung cancer", "renal failure", "cirrhosis", "hepatitis", "pancreatitis", "appendicitis", "meningitis", "multiple sclerosis", "stroke", "epilepsy", "rheumatoid arthritis", "osteoarthritis", "pulmonary embolism", "myocardial infarction", "coronary artery disease", "influenza", "bronchitis", "emphysema", "pulmonary fibrosis", "sarcoidosis", "HIV infection", "COVID-19", "sepsis", "obesity", "ulcerative colitis", "gallstones", "carcinoma", "adenocarcinoma", "meningioma", "glioblastoma", "hemangioma", "abscess", "hydrocephalus", "scoliosis", "osteoporosis"},
	"sign":      {"consolidation", "opacity", "ground-glass opacities", "patchy opacities", "bilateral infiltrates", "pleural effusion", "pneumothorax", "atelectasis", "a nodule", "a mass", "a cyst", "a fracture", "hemorrhage", "edema", "enhancement", "calcification", "lymphadenopathy", "cardiomegaly", "thickening", "a lesion", "a hypodense lesion", "a hyperintense signal", "an aneurysm", "stenosis", "dilatation", "air bronchograms", "B-lines", "interstitial markings", "a cavity", "free fluid", "an abnormality", "a collection", "infiltration", "fibrosis", "a tumor", "a filling defect", "herniation", "obstruction"},
	"place":     {"the right lung", "the left lung", "both lungs", "the right upper lobe", "the right lower lobe", "the left lower lobe", "the middle lobe", "the lung bases", "the perihilar zone", "the mediastinum", "the pleura", "the liver", "the spleen", "the pancreas", "the gallbladder", "the right kidney", "the left kidney", "the bladder", "the uterus", "the prostate", "the brain", "the frontal lobe", "the temporal lobe", "the cerebellum", "the brainstem", "the spinal cord", "the lumbar spine", "the thoracic spine", "the cervical spine", "the hip", "the femur", "the knee", "the shoulder", "the abdomen", "the pelvis", "the chest wall", "the aorta", "the neck", "the skull", "the orbit", "the sinus", "the bowel", "the stomach", "the colon", "the heart"},
	"study":     {"Chest radiograph", "Chest X-ray", "Posteroanterior chest radiograph", "Axial CT", "Coronal CT", "CT scan", "Contrast enhanced CT", "MRI", "T1 weighted MRI", "T2 weighted MRI", "Axial MRI", "Sagittal MRI", "Ultrasound", "Lung ultrasound", "Physical examination", "Laboratory examination", "Computed tomography", "Magnetic resonance imaging"},
	"extent":    {"small", "large", "mild", "severe", "moderate", "diffuse", "focal", "multiple", "extensive", "subtle", "marked", "slight", "multifocal", "bilateral", "unilateral", "peripheral", "predominant", "acute", "chronic", "new"},
	"verb":      {"shows", "revealed", "demonstrates", "showed", "demonstrated", "is notable for", "reveals", "confirmed"},
	"place0":    {"hospital", "emergency department", "intensive care unit", "clinic", "hospital ward"},
	"action":    {"admitted to", "referred to", "transferred to", "discharged from", "seen in"},
	"drug":      {"antibiotics", "steroids", "oxygen", "chemotherapy", "surgery", "mechanical ventilation", "radiation therapy", "antiviral treatment", "intravenous contrast", "observation"},
	"outcome":   {"recovered", "improved", "died", "was discharged", "remained stable", "deteriorated", "was intubated", "responded well", "became worse", "was treated"},
	"lab":       {"C-reactive protein", "leukocytosis", "lymphopenia", "anaemia", "neutrophilia", "elevated liver enzymes", "normal white blood cells", "hypoxaemia", "oxygen saturation"},
	"unit":      {"days", "weeks", "months", "years", "hours"},
}

var reportSentences = []string{
	"A #-year-old {person} with a history of {disease} was {action} the {place0} with {complaint} and {complaint}.",
	"A #-year-old {person} presented with {complaint}, {complaint} and {complaint} for # {unit}.",
	"Patient with # {unit} history of {complaint}, {complaint} and {complaint}, who had been treated with {drug}.",
	"He has a history of {disease} and {disease}.",
	"She had undergone {drug} for {disease} # {unit} before.",
	"{study} {verb} {extent} {sign} in {place}.",
	"{study} {verb} {sign} in {place} and {extent} changes of {place}, consistent with {disease}.",
	"{study} {verb} {extent} {sign} predominantly involving {place} (arrow).",
	"{study} at presentation {verb} {sign} which resembles {disease}.",
	"There is {sign} within {place}, measuring # x # cm.",
	"There is no evidence of {sign} or {sign}.",
	"No {complaint} was reported and {place} is normal.",
	"The initial treatment was {drug} for the clinical suspicion of {disease}, but symptoms persisted.",
	"The {person} was {action} the {place0} and {outcome} after # {unit}.",
	"Laboratory showed {lab}, {lab} and high levels of {lab}.",
	"Physical examination revealed {complaint} and {sign} over {place}.",
	"Findings are suggestive of {disease}; the differential includes {disease} and {disease}.",
	"Follow-up {study} # {unit} later {verb} improvement of {sign}, the rest of {place} remaining unchanged.",
	"The {sign} in {place} is {extent} and was not seen on the previous study.",
	"Because of {complaint}, {drug} was started and the {person} {outcome}.",
}

// report is the i-th text of random case-report sentences: language without a picture, so that a small model knows the
// words and the pieces of words of real captions before it meets one.
func report(seed uint64, i int) (question, answer string) {
	r := rand.New(rand.NewPCG(seed, uint64(i)^0x7e9047))
	var out []string
	for range 1 + r.IntN(3) {
		var b strings.Builder
		rest := reportSentences[r.IntN(len(reportSentences))]
		for rest != "" {
			at := strings.IndexAny(rest, "#{")
			if at < 0 {
				b.WriteString(rest)
				break
			}
			b.WriteString(rest[:at])
			if rest[at] == '#' {
				fmt.Fprint(&b, 1+r.IntN(89))
				rest = rest[at+1:]
				continue
			}
			key, tail, _ := strings.Cut(rest[at+1:], "}")
			words := reportWords[key]
			b.WriteString(words[r.IntN(len(words))])
			rest = tail
		}
		out = append(out, b.String())
	}
	return "Write a report.", strings.Join(out, " ")
}
